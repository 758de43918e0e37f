"""Who a distribution names as its authors and maintainers: names and addresses sorted out into persons."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from email.utils import getaddresses

ROLES = ("author", "maintainer")
_NAME_ENDINGS = frozenset(("inc", "llc", "ltd", "gmbh", "jr", "sr"))
"""What follows a comma inside one name: ``Docker, Inc.`` is not two persons."""


@dataclass(frozen=True)
class Contact:
    """One person as a distribution names it; at least one of name and e-mail address is known."""

    name: str | None
    email: str | None
    roles: tuple[str, ...]


def read_contacts(header: Callable[[str], str | None]) -> tuple[Contact, ...]:
    """The persons that a distribution names, each once, with all of their roles.

    Args:
        header: gives a metadata header's text, or None.
    """
    found: list[Contact] = []
    for role in ROLES:
        title = role.capitalize()
        for name, email in paired(split_names(header(title)), split_addresses(header(f"{title}-email"))):
            _merge(found, Contact(name, email, (role,)))
    return tuple(found)


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
    known = [
        (name or None, address.lower()) if _is_address(address) else (name or address or None, None)
        for name, address in pairs
    ]
    return [pair for pair in known if any(pair)] or [(text.strip(), None)]


def _is_address(text: str) -> bool:
    return re.fullmatch(r"[^@\s]+@[^@\s]+", text) is not None


def paired(
    names: list[str], addresses: list[tuple[str | None, str | None]]
) -> Iterable[tuple[str | None, str | None]]:
    """Joins the names of one header with the addresses of the other, where it is clear which belong together."""
    taken = {name.casefold() for name, _ in addresses if name}
    spare = [name for name in names if name.casefold() not in taken]
    nameless = [address for name, address in addresses if name is None]
    if len(spare) == len(nameless):
        owners = dict(zip(nameless, spare, strict=True))
        return [(name or owners[address], address) for name, address in addresses]
    return [*addresses, *((name, None) for name in spare)]


def _merge(found: list[Contact], contact: Contact) -> None:
    """Adds a contact, or its role to the same person's earlier one."""
    for position, known in enumerate(found):
        if _same_person(known, contact):
            roles = dict.fromkeys((*known.roles, *contact.roles))
            found[position] = replace(
                known, name=known.name or contact.name, email=known.email or contact.email, roles=tuple(roles)
            )
            return
    found.append(contact)


def _same_person(one: Contact, other: Contact) -> bool:
    if one.email and other.email:
        return one.email == other.email
    return bool(one.name and other.name) and str(one.name).casefold() == str(other.name).casefold()
