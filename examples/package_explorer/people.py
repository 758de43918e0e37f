"""The authors and maintainers of a distribution: names and addresses as persons."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from email.utils import getaddresses

ROLES = ("author", "maintainer")
_NAME_ENDINGS = frozenset(("inc", "llc", "ltd", "gmbh", "jr", "sr"))
"""Words that follow a comma inside one name: ``Docker, Inc.`` is not two persons."""


@dataclass(frozen=True)
class Contact:
    """One person of a distribution, with at least a name or an e-mail address."""

    name: str | None
    email: str | None
    roles: tuple[str, ...]


def read_contacts(header: Callable[[str], str | None]) -> tuple[Contact, ...]:
    """The persons that a distribution names, each once, with all of their roles.

    Args:
        header: gives a metadata header's text, or None.
    """
    contacts: list[Contact] = []
    for role in ROLES:
        title = role.capitalize()
        for name, email in paired(split_names(header(title)), split_addresses(header(f"{title}-email"))):
            _merge(contacts, Contact(name, email, (role,)))
    return tuple(contacts)


def split_names(text: str | None) -> list[str]:
    """The names in a comma-separated list.

    >>> split_names("Ada Lovelace, Docker, Inc.")
    ['Ada Lovelace', 'Docker, Inc.']
    """
    names: list[str] = []
    for part in filter(None, map(str.strip, (text or "").split(","))):
        if names and part.rstrip(".").lower() in _NAME_ENDINGS:
            names[-1] = f"{names[-1]}, {part}"
        else:
            names.append(part)
    return names


def split_addresses(text: str | None) -> list[tuple[str | None, str | None]]:
    """Name and address of each entry of an e-mail header; text that is no address is taken for a name.

    >>> split_addresses('Ada <Ada@example.com>, bob@example.com, somebody')
    [('Ada', 'ada@example.com'), (None, 'bob@example.com'), ('somebody', None)]
    """
    if not text:
        return []
    pairs = [(name.strip(), address.strip()) for name, address in getaddresses([text])]
    entries = [
        (name or None, address.lower()) if _is_address(address) else (name or address or None, None)
        for name, address in pairs
    ]
    return [pair for pair in entries if any(pair)] or [(text.strip(), None)]


def _is_address(text: str) -> bool:
    return re.fullmatch(r"[^@\s]+@[^@\s]+", text) is not None


def paired(
    names: list[str], addresses: list[tuple[str | None, str | None]]
) -> Iterable[tuple[str | None, str | None]]:
    """Joins the names of one header with the addresses of the other, if it is clear which belong together."""
    names_with_address = {name.casefold() for name, _ in addresses if name}
    spare = [name for name in names if name.casefold() not in names_with_address]
    nameless = [address for name, address in addresses if name is None]
    if len(spare) == len(nameless):
        owners = dict(zip(nameless, spare, strict=True))
        return [(name or owners[address], address) for name, address in addresses]
    return [*addresses, *((name, None) for name in spare)]


def _merge(contacts: list[Contact], contact: Contact) -> None:
    """Adds a contact, or its role to the same person's earlier one."""
    for position, earlier_contact in enumerate(contacts):
        if _same_person(earlier_contact, contact):
            roles = dict.fromkeys((*earlier_contact.roles, *contact.roles))
            contacts[position] = replace(
                earlier_contact,
                name=earlier_contact.name or contact.name,
                email=earlier_contact.email or contact.email,
                roles=tuple(roles),
            )
            return
    contacts.append(contact)


def _same_person(contact: Contact, other_contact: Contact) -> bool:
    if contact.email and other_contact.email:
        return contact.email == other_contact.email
    return (
        bool(contact.name and other_contact.name)
        and str(contact.name).casefold() == str(other_contact.name).casefold()
    )
