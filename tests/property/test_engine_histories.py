"""Random requests to the embedded engine: histories that dynoxide answers alike, and requests with random faults."""

from __future__ import annotations

import copy
import json
import os
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dynamo_bao.dynamodb.transport.embedded.engine import EmbeddedEngine
from tests.support.engines import Engines
from tests.support.plugin import ready_or_refused
from tests.support.two_engines import TwoEngines, table_request

HISTORIES = int(os.environ.get("BAO_EXAMPLES", "20"))
STEPS = 25
TABLE = "histories"
INCLUDED = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]}
SCHEMA = table_request(TABLE, "N", INCLUDED, {"ProjectionType": "ALL"})
SCALARS: list[dict[str, Any]] = [
    *({"S": text} for text in ("", "a", "ab", "b", "é")),
    *({"N": text} for text in ("0", "1", "2", "-1", "10", "1.5", "100000000000000000001")),
    *({"B": text} for text in ("", "YQ==", "YWI=")),
    *({"BOOL": True}, {"BOOL": False}, {"NULL": True}),
]
ORDERED = SCALARS[:15]
"""The scalars that have an order."""
SETS: list[dict[str, Any]] = [
    *({"SS": members} for members in (["a"], ["a", "b"], ["b", "c"])),
    *({"NS": members} for members in (["1"], ["1", "2"], ["2", "10"])),
    *({"BS": members} for members in (["YQ=="], ["YQ==", "YWI="])),
]
FAULTY: list[Any] = [
    *({"SS": []}, {"NS": ["1", "1"]}, {"N": "x"}, {"N": "1e200"}, {}, {"S": "a", "N": "1"}, {"NULL": False}),
    *({"SS": ["a", "a"]}, {"BS": []}, {"L": [{}]}),
]
KEYS: dict[str, dict[str, Any]] = {"g": {"S": "H"}, "n": {"N": "2"}}
PATHS = ("x", "y", "l", "m", "s", "l[0]", "l[1]", "m.a", "m.b", "m.a.c", "#x", "m.#a", "zz")
NAMES = {"#x": "x", "#a": "a", "#n": "n"}
TYPES = ("S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L", "M")


class Maker:
    """Makes the requests of one history.

    Args:
        chance: the source of all choices.
        partition: the beginning of the history's partition keys.
    """

    def __init__(self, chance: random.Random, partition: str) -> None:
        self.chance, self.partition = chance, partition
        self.may_have_fault = True
        self.values: dict[str, Any] = {}
        self.names: dict[str, str] = {}

    def is_faulty(self, chance: float) -> bool:
        """Whether a part is made with a fault: at most one of a request, as the engines may name either of two."""
        is_faulty = self.may_have_fault and self.chance.random() < chance
        self.may_have_fault &= not is_faulty
        return is_faulty

    # --- values and expressions ---------------------------------------------------------------------------

    def value(self, depth: int = 0) -> Any:
        pick = self.chance.random()
        if pick < 0.15 and depth < 2:
            return {"L": [self.value(depth + 1) for _ in range(self.chance.randint(0, 3))]}
        if pick < 0.3 and depth < 2:
            return {"M": {name: self.value(depth + 1) for name in self.chance.sample("abc", 2)}}
        return self.chance.choice(SETS if pick < 0.5 else SCALARS)

    def placeholder(self, value: Any = None) -> str:
        """The placeholder of a value, which the request then has."""
        name = f":v{len(self.values)}"
        self.values[name] = self.value() if value is None else value
        return name

    def path(self, other: str = "") -> str:
        """A path; not the other one, which DynamoDB refuses in some places."""
        path = self.chance.choice([path for path in PATHS if path.replace("#", "") != other.replace("#", "")])
        self.names |= {name: text for name, text in NAMES.items() if name in path}
        return path

    def operand(self, other: str, values: list[dict[str, Any]] | None = None) -> str:
        """What a path is compared with.

        Args:
            other: the path.
            values: the values to choose from; None for any.
        """
        pick = self.chance.random()
        if pick < 0.4:
            return self.placeholder(None if values is None else self.chance.choice(values))
        return f"size({self.path()})" if pick < 0.5 else self.path(other)

    def comparison(self) -> str:
        path, symbol = self.path(), self.chance.choice(("=", "<>", "<", "<=", ">", ">="))
        return f"{path} {symbol} {self.operand(path, None if symbol in ('=', '<>') else ORDERED)}"

    def membership(self) -> str:
        path = self.path()
        return f"{path} IN ({self.operand(path)}, {self.placeholder()})"

    def condition(self, depth: int = 0) -> str:
        pick = self.chance.random()
        if depth < 2 and pick < 0.25:
            parts = [self.condition(depth + 1) for _ in range(2)]
            return self.chance.choice((" AND ", " OR ")).join(parts)
        if depth < 2 and pick < 0.35:
            return f"NOT {self.condition(2)}"
        kinds: list[Callable[[], str]] = [
            self.comparison,
            lambda: f"attribute_exists({self.path()})",
            lambda: f"attribute_not_exists({self.path()})",
            lambda: f"attribute_type({self.path()}, {self.placeholder({'S': self.chance.choice(TYPES)})})",
            lambda: f"begins_with({self.path()}, {self.placeholder(self.chance.choice(SCALARS[:5]))})",
            lambda: f"contains({self.path()}, {self.placeholder()})",
            lambda: f"{self.path()} BETWEEN {self.bounds()}",
            self.membership,
            lambda: f"size({self.path()}) > {self.placeholder({'N': '1'})}",
        ]
        return self.chance.choice(kinds)()

    def bounds(self) -> str:
        low, high = sorted(self.chance.sample(range(9), 2))
        return f"{self.placeholder({'N': str(low)})} AND {self.placeholder({'N': str(high)})}"

    def update(self, has_overlaps: bool = True) -> str:
        """An update without overlaps in transactions and without `SET l[0]` on a NULL, which dynoxide allows."""
        names = ("x", "y", "l", "m.a", "m.b", "s", "g", "n", "zz", *(("#x", "l[0]") if has_overlaps else ()))
        targets = self.chance.sample(names, 3)
        clauses: dict[str, list[str]] = {}
        number = self.chance.randint(1, 3)
        for target in targets[:number]:
            self.names |= {name: text for name, text in NAMES.items() if name in target}
            clause = self.chance.choice(("SET", "SET", "SET", "REMOVE", "ADD", "DELETE"))
            if target == "l[0]" or (target in KEYS and clause not in ("SET", "REMOVE")):
                clause = "REMOVE"
            if target in KEYS and clause == "SET" and number > 1:  # so that its type is not a second fault
                clauses.setdefault(clause, []).append(f"{target} = {self.placeholder(KEYS[target])}")
                continue
            clauses.setdefault(clause, []).append(self.action(clause, target))
        return " ".join(f"{clause} {', '.join(actions)}" for clause, actions in clauses.items())

    def action(self, clause: str, target: str) -> str:
        if clause == "REMOVE":
            return target
        if clause != "SET":
            numbers = [{"N": "1"}, {"N": "-2.5"}] if clause == "ADD" else []
            return f"{target} {self.placeholder(self.chance.choice([*SETS, *numbers]))}"
        if target in KEYS and self.chance.random() < 0.7:
            return f"{target} = {self.placeholder(KEYS[target])}"
        sources: list[Callable[[], str]] = [
            lambda: self.placeholder(),
            lambda: self.placeholder(),
            lambda: self.path(),
            lambda: f"if_not_exists({self.path()}, {self.placeholder()})",
            lambda: f"if_not_exists(x, {self.placeholder({'N': '0'})}) + {self.placeholder({'N': '1'})}",
            lambda: (
                f"list_append(if_not_exists(l, {self.placeholder({'L': []})}), "
                f"{self.placeholder({'L': [self.value(2)]})})"
            ),
        ]
        return f"{target} = {self.chance.choice(sources)()}"

    def with_placeholders(self, request: dict[str, Any], has_faults: bool = False) -> dict[str, Any]:
        """The request with the names and values that its expressions use; rarely with a fault."""
        values, names = self.values, self.names
        self.values, self.names = {}, {}
        if has_faults and self.chance.random() < 0.02:
            values |= {":unused": {"S": "x"}}
        if has_faults and values and self.chance.random() < 0.02:
            values |= {next(iter(values)): {"SS": []}}
        members = {"ExpressionAttributeNames": names, "ExpressionAttributeValues": values}
        return {**request, **{member: part for member, part in members.items() if part}}

    # --- requests -----------------------------------------------------------------------------------------

    def key(self) -> dict[str, Any]:
        key = {
            "pk": {"S": f"{self.partition}{self.chance.randint(0, 1)}"},
            "sk": {"N": self.chance.choice("1234")},
        }
        if self.is_faulty(0.02):
            return self.chance.choice(
                [{"pk": key["pk"]}, {**key, "sk": {"S": "1"}}, {**key, "x": {"S": "1"}}]
            )
        return key

    def item(self) -> dict[str, Any]:
        item: dict[str, Any] = {
            **self.key(),
            **{name: self.value() for name in self.chance.sample("xyslm", 3)},
        }
        if item.get("m") == {"NULL": True}:  # in which dynoxide can set m.a
            del item["m"]
        if self.chance.random() < 0.6:
            item |= {"g": {"S": self.chance.choice("GH")}, "n": {"N": self.chance.choice("123")}}
        if self.is_faulty(0.04):
            item |= {"g": self.chance.choice(SCALARS)}
        return item | {"y": self.chance.choice(FAULTY)} if self.is_faulty(0.04) else item

    def conditional(self, chance: float = 0.5) -> dict[str, Any]:
        parts: dict[str, Any] = {}
        if self.chance.random() < chance:
            parts["ConditionExpression"] = self.condition()
            if self.chance.random() < 0.5:
                parts["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        return parts

    def extras(self) -> dict[str, Any]:
        return (
            {"ReturnConsumedCapacity": self.chance.choice(("TOTAL", "INDEXES"))}
            if self.chance.random() < 0.3
            else {}
        )

    def projection(self) -> dict[str, Any]:
        if self.chance.random() < 0.6:
            return {}
        return {"ProjectionExpression": ", ".join(self.path() for _ in range(self.chance.randint(1, 3)))}

    def put_item(self) -> dict[str, Any]:
        request = {"Item": self.item(), **self.conditional(0.3), **self.extras()}
        return {**request, "ReturnValues": self.chance.choice(("NONE", "ALL_OLD"))}

    def delete_item(self) -> dict[str, Any]:
        request = {"Key": self.key(), **self.conditional(), **self.extras()}
        return {**request, "ReturnValues": self.chance.choice(("NONE", "ALL_OLD"))}

    def update_item(self) -> dict[str, Any]:
        request = {
            "Key": self.key(),
            "UpdateExpression": self.update(),
            **self.conditional(0.3),
            **self.extras(),
        }
        words = ("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW")
        return {**request, "ReturnValues": self.chance.choice(words)}

    def get_item(self) -> dict[str, Any]:
        projection = self.projection()
        self.may_have_fault = not projection
        return {"Key": self.key(), **projection, **self.extras()}

    def query(self) -> dict[str, Any]:
        index = self.chance.choice((None, None, "gsi", "lsi"))
        pk = {"S": f"{self.partition}{self.chance.randint(0, 1)}"}
        name, value = ("g", {"S": self.chance.choice("GH")}) if index == "gsi" else ("pk", pk)
        condition = f"{name} = {self.placeholder(value)}"
        if self.chance.random() < 0.5:
            sort_name = "sk" if index is None else "n"
            symbol = self.chance.choice(("=", "<", "<=", ">", ">=", "BETWEEN"))
            bound = (
                self.bounds() if symbol == "BETWEEN" else self.placeholder({"N": self.chance.choice("0123")})
            )
            condition = f"{condition} AND {sort_name} {symbol} {bound}"
        request = {"KeyConditionExpression": condition, **self.reading(index)}
        return {**request, "ScanIndexForward": self.chance.random() < 0.7}

    def reading(self, index: str | None) -> dict[str, Any]:
        """What queries and scans have in common."""
        parts: dict[str, Any] = {**self.extras(), **({"IndexName": index} if index else {})}
        if self.chance.random() < 0.4:
            parts["FilterExpression"] = self.condition()
        if self.chance.random() < 0.4:
            parts["Limit"] = self.chance.randint(0, 3)
        if self.chance.random() < 0.15:
            parts["Select"] = self.chance.choice(("COUNT", "ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES"))
        else:
            parts |= self.projection()
        return parts

    def scan(self) -> dict[str, Any]:
        """A scan; dynoxide counts the units of a local index as its table's."""
        index = self.chance.choice((None, "gsi", "lsi"))
        parts = self.reading(index)
        return {**parts, "ReturnConsumedCapacity": "TOTAL"} if index == "lsi" else parts

    def batch_get_item(self) -> dict[str, Any]:
        keys = [self.key() for _ in range(self.chance.randint(0, 3))]
        return {"RequestItems": {TABLE: {"Keys": keys}}, **self.extras()}

    def batch_write_item(self) -> dict[str, Any]:
        number = self.chance.randint(1, 3)
        self.may_have_fault = number == 1
        entries = [
            {"PutRequest": {"Item": self.item()}}
            if self.chance.random() < 0.6
            else {"DeleteRequest": {"Key": self.key()}}
            for _ in range(number)
        ]
        return {"RequestItems": {TABLE: entries}, **self.extras()}

    def transact_write_items(self) -> dict[str, Any]:
        actions = [self.action_of_transaction() for _ in range(self.chance.randint(1, 3))]
        return {"TransactItems": actions, **self.extras()}

    def action_of_transaction(self) -> dict[str, Any]:
        kind = self.chance.choice(("Put", "Update", "Delete", "ConditionCheck"))
        part: dict[str, Any] = {"Item": self.item()} if kind == "Put" else {"Key": self.key()}
        if kind == "Update":
            part["UpdateExpression"] = self.update(has_overlaps=False)
        part |= self.conditional(1.0 if kind == "ConditionCheck" else 0.3)
        return {kind: self.with_placeholders({"TableName": TABLE, **part})}

    def transact_get_items(self) -> dict[str, Any]:
        gets = [{"Get": {"TableName": TABLE, "Key": self.key()}} for _ in range(self.chance.randint(0, 3))]
        return {"TransactItems": gets, **self.extras()}

    def request(self) -> tuple[str, dict[str, Any]]:
        """The next request, with its operation."""
        self.values, self.names, self.may_have_fault = {}, {}, True
        name = self.chance.choices(list(OPERATIONS), weights=list(OPERATIONS.values()))[0]
        operation = "".join(map(str.capitalize, name.split("_")))
        request = getattr(self, name)()
        if not operation.startswith(("Batch", "Transact")):
            # dynoxide looks at unused values after the condition of a put or a delete, and after Select.
            has_faults = operation in ("UpdateItem", "Query", "Scan") and "Select" not in request
            request = {"TableName": TABLE, **self.with_placeholders(request, has_faults)}
        return operation, request


OPERATIONS = {
    "put_item": 6,
    "update_item": 6,
    "get_item": 2,
    "delete_item": 2,
    "query": 4,
    "scan": 1,
    "batch_get_item": 1,
    "batch_write_item": 1,
    "transact_write_items": 3,
    "transact_get_items": 1,
}
"""The operations of a history, with how often they occur."""


@pytest.fixture(scope="module")
def both(engines: Engines) -> Iterator[TwoEngines]:
    two_engines = TwoEngines(str(ready_or_refused(engines, "dynoxide").endpoint_url))
    two_engines.ask("CreateTable", SCHEMA)
    yield two_engines
    two_engines.ask("DeleteTable", {"TableName": TABLE})
    two_engines.close()


def empty(both: TwoEngines) -> None:
    """Deletes what a history has left."""
    keys = {"ProjectionExpression": "pk, sk"}
    for one in both.ask("Scan", {"TableName": TABLE, **keys})[0][1]["Items"]:
        both.ask("DeleteItem", {"TableName": TABLE, "Key": one})


def test_histories_are_answered_alike(both: TwoEngines) -> None:
    """`BAO_EXAMPLES` is the number of histories, of 25 requests each; more than half of the requests succeed."""
    statuses: Counter[int] = Counter()
    differences = []
    for number in range(HISTORIES):
        maker = Maker(random.Random(number), f"p{number}-")
        for step in range(STEPS):
            operation, request = maker.request()
            status, difference = both.compared(operation, request)
            statuses[status] += 1
            if difference is not None:
                differences.append(f"history {number}, step {step}: {difference}")
                break
        empty(both)
    total = sum(statuses.values())
    print(
        f"{HISTORIES} histories, {total} requests, {statuses[200]} of them done, {len(differences)} differences"
    )
    assert "\n".join(differences) == ""
    assert statuses[200] > total / 2


# --- requests with faults -----------------------------------------------------------------------------------

ARN = f"arn:aws:dynamodb:us-east-1:123456789012:table/{TABLE}"
INDEX = {
    "IndexName": "later",
    "KeySchema": [{"AttributeName": "z", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}
IS_A = {"ComparisonOperator": "EQ", "AttributeValueList": [{"S": "a"}]}
STATEMENT = {"Statement": f"SELECT * FROM {TABLE} WHERE pk='p0'"}
KEY = {"pk": {"S": "p0"}, "sk": {"N": "1"}}
OTHER_REQUESTS: list[tuple[str, dict[str, Any]]] = [
    ("CreateTable", SCHEMA),
    ("DescribeTable", {"TableName": TABLE}),
    ("ListTables", {"Limit": 1}),
    (
        "UpdateTable",
        {"TableName": TABLE, "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}},
    ),
    (
        "UpdateTable",
        {
            "TableName": TABLE,
            "AttributeDefinitions": [{"AttributeName": "z", "AttributeType": "S"}],
            "GlobalSecondaryIndexUpdates": [{"Create": INDEX}],
        },
    ),
    (
        "UpdateTable",
        {"TableName": TABLE, "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "later"}}]},
    ),
    (
        "UpdateTimeToLive",
        {"TableName": TABLE, "TimeToLiveSpecification": {"AttributeName": "x", "Enabled": True}},
    ),
    ("TagResource", {"ResourceArn": ARN, "Tags": [{"Key": "a", "Value": "b"}]}),
    ("UntagResource", {"ResourceArn": ARN, "TagKeys": ["a"]}),
    (
        "UpdateItem",
        {"TableName": TABLE, "Key": KEY, "AttributeUpdates": {"x": {"Action": "ADD", "Value": {"N": "1"}}}},
    ),
    ("PutItem", {"TableName": TABLE, "Item": KEY, "Expected": {"x": IS_A, "y": {"Exists": False}}}),
    (
        "Query",
        {
            "TableName": TABLE,
            "KeyConditions": {"pk": IS_A},
            "QueryFilter": {"x": IS_A},
            "ExclusiveStartKey": KEY,
        },
    ),
    ("Scan", {"TableName": TABLE, "Segment": 0, "TotalSegments": 2, "ScanFilter": {"x": IS_A}}),
    ("ExecuteStatement", STATEMENT),
    ("BatchExecuteStatement", {"Statements": [STATEMENT]}),
    ("CreateBackup", {"TableName": TABLE, "BackupName": "backup"}),
]
STRANGE: list[Any] = [
    *(
        None,
        True,
        0,
        -1,
        1.5,
        10**30,
        "",
        "a",
        "((((",
        "#",
        "a.b[99999999999]",
        "SET",
        ":v0",
        [],
        {},
        [[]],
        [1],
    ),
    *({"S": None}, {"S": "a"}, {"M": {"": {"S": ""}}}, {"L": [None]}, {"a": 1}),
]


def places(part: Any) -> Iterator[tuple[Any, Any]]:
    """The containers of a request, each with the names or the places of its members."""
    for name in part if isinstance(part, dict) else range(len(part)) if isinstance(part, list) else ():
        yield part, name
        yield from places(part[name])


def with_fault(chance: random.Random, request: dict[str, Any]) -> dict[str, Any]:
    """A request with a member that is missing or strange, or with a text that has another character."""
    faulty = copy.deepcopy(request)
    all_places = list(places(faulty))
    if not all_places:
        return faulty
    container, name = chance.choice(all_places)
    text, pick = container[name], chance.random()
    if pick < 0.2:
        del container[name]
    elif pick < 0.5 and text and isinstance(text, str):
        place = chance.randrange(len(text))
        container[name] = text[:place] + chance.choice("()#:.,[]ab 9'") + text[place + chance.randint(0, 1) :]
    else:
        container[name] = copy.deepcopy(chance.choice(STRANGE))
    return faulty


def test_requests_with_random_faults_are_answered() -> None:
    """No request makes the engine raise, whatever is wrong with it, and the table stays usable."""
    engine, chance, statuses = EmbeddedEngine(), random.Random(1), Counter[int]()

    def status_of(operation: str, request: Any) -> int:
        return engine.answer_to(f"DynamoDB_20120810.{operation}", json.dumps(request))[0]

    status_of("CreateTable", SCHEMA)
    for _ in range(HISTORIES * STEPS):
        maker = Maker(chance, "p")
        operation, request = maker.request() if chance.random() < 0.7 else chance.choice(OTHER_REQUESTS)
        statuses[status_of(operation, with_fault(chance, request))] += 1
    assert set(statuses) == {200, 400}
    assert status_of("Scan", {"TableName": TABLE}) == 200
