"""The items of the benchmark's server: with 13 attributes, with a map and a list too, and those of a dashboard.

Nothing is imported here, so that a contender's start is not measured with what the benchmark needs.
"""

from __future__ import annotations

ITEMS = 1000
PAGE = 100

FIELDS = {
    "plain": {
        "item_id": "S",
        "team": "S",
        "name": "S",
        "email": "S",
        "city": "S",
        "title": "S",
        "about": "S",
        "age": "N",
        "logins": "N",
        "created": "N",
        "score": "N",
        "active": "BOOL",
        "tags": "SS",
    }
}
FIELDS["nested"] = {**FIELDS["plain"], "address": "M", "history": "L"}
"""The fields by kind of item, each with its type on the wire: 7 strings, 4 numbers, a boolean, a set of strings."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

TABLES = {"plain": "items", "nested": "documents"}
"""The tables that have the items of a kind by id."""
PAGES = {"plain": "item_pages", "nested": "document_pages"}
"""The tables that have them by team and id, a hundred in each team."""
BAO_TABLE = "bao"
"""The one table of dynamo_bao. It has all these items and the dashboard, with its own keys."""
BAO_PREFIXES = {"items": "i", "documents": "d", "item_pages": "ip", "document_pages": "dp"}

KEY_ATTRIBUTES = {
    "items": ("item_id",),
    "documents": ("item_id",),
    "item_pages": ("team", "item_id"),
    "document_pages": ("team", "item_id"),
    BAO_TABLE: ("_pk", "_sk"),
}

_CITIES = ("Aarhus", "Bergen", "Cologne", "Dublin", "Espoo", "Florence", "Ghent", "Helsinki", "Innsbruck")
_NAMES = ("Ada Lovelace", "Barbara Liskov", "Edsger Dijkstra", "Grace Hopper", "Kurt Gödel", "Niklaus Wirth")
_TITLES = ("engineer", "professor", "rear admiral", "head of research", "logician")


def item_id(number: int) -> str:
    """The id of an item, as long as a ULID."""
    return f"01JGFJJZ00{number:04d}BENCH0000000"


def team(number: int) -> str:
    """The team of an item: a hundred of them have one."""
    return f"team-{number // PAGE:02d}"


def values(kind: str, number: int) -> dict[str, object]:
    """The field values of one item, as plain Python values."""
    fields: dict[str, object] = {
        "item_id": item_id(number),
        "team": team(number),
        "name": _NAMES[number % 6],
        "email": f"person.{number}@example.com",
        "city": _CITIES[number % 9],
        "title": _TITLES[number % 5],
        "about": f"Person {number} likes machines",
        "age": 20 + number % 60,
        "logins": number * 37,
        "created": 1_735_689_600_000 + number * 60_000,
        "score": number * 0.25 + 0.125,
        "active": number % 3 > 0,
        "tags": {"blue", f"group-{number % 7}", f"year-{2000 + number % 20}"},
    }
    if kind == "nested":
        fields["address"] = {
            "street": f"Main Street {number}",
            "zip": "50667",
            "floor": number % 9,
            "lift": True,
        }
        fields["history"] = [f"joined {2000 + number % 20}", number, {"by": "import", "at": 1_735_689_600}]
    return fields


def typed(value: object) -> dict[str, object]:
    """A value as DynamoDB's typed JSON has it."""
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, set):
        return {"SS": sorted(value)}
    if isinstance(value, dict):
        return {"M": {name: typed(part) for name, part in value.items()}}
    if isinstance(value, list):
        return {"L": [typed(part) for part in value]}
    return {"N": str(value)}


def typed_item(values: Mapping[str, object]) -> dict[str, dict[str, object]]:
    """An item as typed JSON."""
    return {name: typed(value) for name, value in values.items()}


def untyped(typed: dict[str, object]) -> object:
    """The plain value that typed JSON says."""
    ((kind, value),) = typed.items()
    if kind == "N":
        return float(str(value))
    if kind == "SS" and isinstance(value, list):
        return set(value)
    if kind == "M" and isinstance(value, dict):
        return {name: untyped(part) for name, part in value.items()}
    return [untyped(part) for part in value] if kind == "L" and isinstance(value, list) else value


class StoredItem:
    """One stored item.

    Attributes:
        table, key: where it is.
        partitions: the texts by which a query finds it, of the table and its indexes.
        item: its attributes as typed JSON.
    """

    def __init__(
        self, table: str, key: tuple[str, ...], partitions: tuple[str, ...], item: dict[str, object]
    ) -> None:
        self.table, self.key, self.partitions, self.item = table, key, partitions, item


def stored_items() -> list[StoredItem]:
    """All items of the server."""
    items: list[StoredItem] = []
    for kind in FIELDS:
        for number in range(ITEMS):
            id, group = item_id(number), team(number)
            item: dict[str, object] = {**typed_item(values(kind, number))}
            by_id, by_team = TABLES[kind], PAGES[kind]
            items.append(StoredItem(by_id, (id,), (id,), item))
            items.append(StoredItem(by_team, (group, id), (group,), item))
            items.append(_bao(f"{BAO_PREFIXES[by_id]}#{id}", BAO_PREFIXES[by_id], item))
            items.append(_bao(f"{BAO_PREFIXES[by_team]}#{group}", id, item))
    return items + _dashboard()


def _bao(pk: str, sk: str, item: dict[str, object], *also: str) -> StoredItem:
    return StoredItem(BAO_TABLE, (pk, sk), (pk, *also), {"_pk": {"S": pk}, "_sk": {"S": sk}, **item})


# --- the dashboard ----------------------------------------------------------------------------------

OWNER = "owner"
POSTS = 100
AUTHORS = 20
TAGS = 50


def post_values(number: int) -> dict[str, object]:
    """The field values of one of the dashboard's posts."""
    return {
        "post_id": f"post-{number:03d}",
        "owner_id": OWNER,
        "author_id": f"author-{number % AUTHORS:02d}",
        "first_tag_id": f"tag-{number * 7 % TAGS:02d}",
        "second_tag_id": f"tag-{(number * 11 + 3) % TAGS:02d}",
        "title": f"Notes, volume {number}",
        "created": number,
    }


def _dashboard() -> list[StoredItem]:
    items = []
    for user in (OWNER, *(f"author-{number:02d}" for number in range(AUTHORS))):
        fields = {"user_id": user, "name": f"Name of {user}", "email": f"{user}@example.com"}
        items.append(_bao(f"bu#{user}", "bu", {**typed_item(fields)}))
    for number in range(TAGS):
        fields = {"tag_id": f"tag-{number:02d}", "label": f"Label {number}"}
        items.append(_bao(f"bt#tag-{number:02d}", "bt", {**typed_item(fields)}))
    for number in range(POSTS):
        post, index = post_values(number), f"bp#gsi1#{OWNER}"
        keys = {"_gsi1_pk": index, "_gsi1_sk": f"{number:020d}"}
        items.append(_bao(f"bp#{post['post_id']}", "bp", {**typed_item({**post, **keys})}, index))
    return items
