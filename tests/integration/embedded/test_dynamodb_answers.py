"""The embedded engine answers as DynamoDB does: the same requests to dynoxide give the same answers, errors too."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.engines import Engines
from tests.support.plugin import ready_or_refused
from tests.support.two_engines import TwoEngines, fault_of, table_request

Requests = list[tuple[str, dict[str, Any]]]
TABLE = "answers"
T = {"TableName": TABLE}
INCLUDED = {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["x"]}
TABLE_REQUEST = table_request(TABLE, "S", {"ProjectionType": "KEYS_ONLY"}, INCLUDED)
VALUES: dict[str, Any] = {
    ":v": {"N": "1"},
    ":two": {"N": "2"},
    ":s": {"S": "a"},
    ":b": {"BOOL": True},
    ":bin": {"B": "YQ=="},
    ":l": {"L": [{"S": "new"}]},
    ":ss": {"SS": ["a", "zz"]},
    ":ns": {"NS": ["1"]},
    ":m": {"M": {}},
    ":null": {"NULL": True},
    ":e": {"S": ""},
    ":t": {"S": "N"},
    ":big": {"N": "99999999999999999999999999999999999999"},
    ":r": {"N": "1.50"},
    ":p": {"S": "q"},
    ":two_s": {"S": "2"},
    ":four_s": {"S": "4"},
    ":g": {"S": "G"},
}


def key(pk: str, sk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


BASE = {
    **key("a", "1"),
    "x": {"N": "1"},
    "l": {"L": [{"S": "a"}, {"N": "5"}, {"S": "c"}, {"S": "d"}]},
    "m": {"M": {"q": {"S": "z"}, "n": {"M": {"a": {"N": "1"}}}}},
    "b": {"BOOL": True},
    "ss": {"SS": ["a", "b"]},
    "ns": {"NS": ["1", "2"]},
    "s": {"S": "string"},
    "bin": {"B": "YWI="},
}


def with_values(expression: str, request: dict[str, Any]) -> dict[str, Any]:
    """A request with the values that an expression refers to."""
    values = {name: VALUES[name] for name in re.findall(r":\w+", expression) if name in VALUES}
    return {**request, "ExpressionAttributeValues": values, **request} if values else request


def put(**parts: Any) -> tuple[str, dict[str, Any]]:
    return "PutItem", {**T, "Item": key("a", "1"), **parts}


def stored(value: Any) -> Requests:
    """A value is stored and read again."""
    item = {**key("v", "1"), "a": value}
    return [("PutItem", {**T, "Item": item}), ("GetItem", {**T, "Key": key("v", "1")})]


def deep(levels: int) -> Any:
    value: Any = {"S": "x"}
    for _ in range(levels):
        value = {"L": [value]}
    return value


STORED = [
    *({"N": text} for text in ("1.50", "-0", "+1", "1E5", ".5", "5.", "007", "1e125", "-1e-130", "0.00010")),
    *(
        {"N": text}
        for text in ("", "abc", " 1", "0x1", "NaN", "1e126", "1e-131", "1" * 39, "Infinity", "1_0")
    ),
    *({"SS": members} for members in ([], ["a", "a"], ["a", ""], ["b", "a"])),
    *({"NS": members} for members in ([], ["1", "1.0"], ["x"], ["2", "10"])),
    *({"BS": members} for members in ([], ["YQ==", "YQ=="], ["YQ==", ""])),
    *({"NULL": flag} for flag in (True, False)),
    *({"M": members} for members in ({}, {"a": {}}, {"a": {"SS": []}}, {"": {"S": "a"}})),
    *({"L": members} for members in ([], [{}], [{"NULL": False}])),
    *({}, {"X": "a"}, {"S": "a", "N": "1"}, {"S": "a", "X": 1}, None, [], 5, "x"),
    *({"S": "é \U0001f600"}, {"S": ""}, {"B": ""}, {"BOOL": False}),
    *(deep(31), deep(32)),
]
ITEMS: list[Any] = [
    {},
    {"pk": {"S": "a"}},
    {"pk": {"S": ""}, "sk": {"S": "a"}},
    {"pk": {"N": "1"}, "sk": {"S": "a"}},
    {"pk": {"S": "a"}, "sk": {"SS": ["a"]}},
    {**key("a", "1"), "g": {"N": "1"}},
    {**key("a", "1"), "g": {"S": ""}},
    {**key("a", "1"), "n": {"S": "x"}},
    {**key("a", "1"), "n": {"S": "x"}, "g": {"S": ""}},
    key("x" * 2048, "1"),
    key("x" * 2049, "1"),
    key("x", "1" * 1024),
    key("x", "1" * 1025),
    {**key("x", "1"), "big": {"S": "x" * 409_590}},
    {**key("x", "1"), "big": {"S": "x" * 409_600}},
]
CONDITIONS = """
contains(x, x)|x BETWEEN :s AND :v|x BETWEEN :two AND :v
x BETWEEN :v AND :two|attribute_type(x, :t)|attribute_type(s, :t)|size(x) > :v
size(s) > :v|size(bin) = :two|size(l) > :two|size(m) = :two|size(ss) = :two|begins_with(x, :v)|begins_with(s, :s)
begins_with(bin, :bin)|begins_with(:s, :s)|contains(:s, x)|contains(s, :s)|contains(ss, :s)|contains(ns, :v)
contains(l, :s)|contains(bin, :bin)|contains(x, :ss)|attribute_exists(x) AND|x =|= x|x = = :v|x
(x = :v|x = :v)|((x = :v))|((x = :v) AND s = :s)|x == :v|x ! :v|x = :undefined|#q = :v|foo(x) = :v|foo(x)|size(x)
attribute_exists(x, x)|contains(x)|x IN ()|x IN (:v|x IN (:v, :s)|x IN (:s)|NOT x = :v|not x = :v
x = :v AND NOT (x = :s OR x = :b)|x[0] = :v|l[0] = :s|l[1] = :v|l[9] = :s|l[1 = :s|m.q = :s|m.n.a = :v|m. = :s
pk.a = :s|size = :v|name = :v|data = :v|m.name = :v|a-b = :v|1a = :v|_a = :v|a.1 = :v|x = :v OR
x<>:v|zz <> :v|zz = :v|x = :v x = :v|x IN :v|x BETWEEN :v|x BETWEEN :v AND|attribute_not_exists (x)|x = size(l)
:v = :v|:v = :two|x = #| |$|x = 1|x = 'a'|m = :m|l = :l|ss = :ss|b = :b|zz = :null|b <> :null|x = :r
attribute_exists(m.n) AND attribute_not_exists(m.zz)|x > :s OR s > :v|NOT (x > :s)|attribute_exists(l[3])
""".replace("\n", "|").split("|")
UPDATES = """
SET l[1] = :s|REMOVE l[9]|SET l[0] = :s REMOVE l[1]|SET m.z = :s|SET m.zz.y = :s|SET q.y = :s|SET x.y = :s
SET m[0] = :s|SET l.a = :s|REMOVE q.y|REMOVE x.y|REMOVE m[0]|REMOVE nope|REMOVE l[1]|SET x = x + :v|SET x = :v + x
SET y = y + :v|SET y = if_not_exists(y, :v) + :v|SET x = x + :s|SET x = x - :v|SET x = x + :v + :v|SET x = (x + :v)
SET x = x * :v|SET l = list_append(l, :l)|SET l = list_append(:l, l)|SET l = list_append(l, :s)
SET q = list_append(if_not_exists(q, :l), :l)|ADD x :v|ADD y :v|ADD s :v|ADD x :s|ADD x :ss|ADD ss :ss|ADD ss :ns
ADD q :ss|ADD m.c :v|ADD l :l|ADD ns :ns|DELETE ss :ss|DELETE ss :ns|DELETE ss :s|DELETE q :ss|DELETE ns :ns
DELETE x :ss|SET pk = :s|SET sk = :s|REMOVE pk|ADD sk :v|ADD x :v SET x = :v|SET x = :v, x = :v|SET m = :m, m.q = :s
SET m.q = :s, m.n.a = :v|SET l[0] = :s, l = :l|SET x = :v SET s = :s|SET|SET x|SET x =|SET x = :v,|set x = :v remove s
FOO x = :v|SET x = :undefined|SET #q = :v|SET name = :v|SET x = foo(x)|SET x = if_not_exists(x)
SET x = if_not_exists(:v, :v)|SET x = list_append(l)|SET x = y|SET x = s|SET x = m.q|SET g = :v
SET n = :s|SET g = :e|SET x = :e|SET y = :big|SET y = :r|REMOVE|REMOVE :v|ADD x|ADD x x|ADD x if_not_exists(x, :v)
DELETE ss|SET x = :v REMOVE x|SET a.b.c = :v|SET y = :null|SET #x = :v, y = :s|SET l[0].z = :s|SET m.n.a = m.n.a + :v
SET x = :v :s|SET x :v|REMOVE x y|SET x = -:v|SET x=:v+:v|SET x=x+x|REMOVE m.q, m.n
SET m.n = :v, m.k = :s|SET y = if_not_exists(x, :v)|SET y = if_not_exists(m.zz, :s)|SET x = s, s = x
REMOVE b SET y = :bin ADD x :v DELETE ss :ss|SET y = :ss|SET g = :g, n = :two
""".replace("\n", "|").split("|")
KEY_CONDITIONS = """
pk = :p|pk = :p AND sk = :two_s|pk = :p AND sk < :two_s|pk = :p AND sk <= :two_s|pk = :p AND sk > :two_s
pk = :p AND sk >= :two_s|pk = :p and begins_with(sk, :two_s)|pk = :p AND x = :s
pk = :p AND sk <> :s|pk = :p OR sk = :s|(pk = :p) AND (sk = :two_s)|((pk = :p)) AND sk = :s|(pk = :p AND sk = :two_s)
:p = pk AND :two_s < sk|pk = :p AND NOT sk = :s|pk = :p AND contains(sk, :s)|pk = :p AND sk IN (:s)
pk = :p AND attribute_exists(sk)
pk = :undefined AND sk = :s|#p = :p AND sk = :s|pk = :p sk = :s|pk = :p AND sk = :p AND
pk = :p AND sk BETWEEN :two_s AND :four_s|pk = :p AND (sk BETWEEN :two_s AND :four_s)
pk = :p AND sk BETWEEN :four_s AND :two_s|pk = :p AND sk BETWEEN :s AND :v
""".replace("\n", "|").split("|")


def query(expression: str = "pk = :p", **parts: Any) -> tuple[str, dict[str, Any]]:
    return "Query", with_values(expression, {**T, "KeyConditionExpression": expression, **parts})


def filtered(expression: str, **parts: Any) -> tuple[str, dict[str, Any]]:
    both = f"pk = :p {expression}"
    request = {**T, "KeyConditionExpression": "pk = :p", "FilterExpression": expression, **parts}
    return "Query", with_values(both, request)


def start(**members: Any) -> dict[str, Any]:
    return {"ExclusiveStartKey": {**key("q", "2"), **members}}


def legacy(operator: str, *values: Any) -> dict[str, Any]:
    return {"ComparisonOperator": operator, "AttributeValueList": list(values)}


OF_Q = {"pk": legacy("EQ", {"S": "q"})}
GSI = {"IndexName": "gsi"}
LSI = {"IndexName": "lsi"}
INDEXES = {"ReturnConsumedCapacity": "INDEXES"}
QUERIES: Requests = [
    *(query(**{"Limit": limit}) for limit in (1, 2, 5, 6, 0)),
    query(Limit=2, ScanIndexForward=False),
    query(**start()),
    query(**start(), ScanIndexForward=False),
    query(ExclusiveStartKey={"pk": {"S": "q"}}),
    query(ExclusiveStartKey={}),
    query(**start(x={"S": "1"})),
    query(**start(sk={"N": "2"})),
    *(query(Select=word) for word in ("COUNT", "BAD", "SPECIFIC_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES")),
    *(query(Select=word, ProjectionExpression="x") for word in ("COUNT", "ALL_ATTRIBUTES")),
    query(Select="SPECIFIC_ATTRIBUTES", ProjectionExpression="x, l[0]", Limit=1),
    query(ProjectionExpression="x, x"),
    query(ProjectionExpression="#x"),
    query(ProjectionExpression=""),
    query(IndexName="nope"),
    query(IndexName="gsi"),
    filtered("pk = :p"),
    filtered("sk.a = :p"),
    filtered("x > :v"),
    filtered("x > :v", Limit=2),
    filtered("x > :v", Select="COUNT", Limit=3),
    filtered(""),
    query("g = :g", **GSI, Limit=2),
    query("g = :g", **GSI, ConsistentRead=True),
    query("g = :g", **GSI, Select="ALL_ATTRIBUTES"),
    query("g = :g", **GSI, ProjectionExpression="x", Limit=1),
    query("g = :g", **GSI, **INDEXES),
    query("g = :g AND n >= :v", **GSI, ScanIndexForward=False),
    query("g = :g AND sk = :s", **GSI),
    query("g = :g", **GSI, **start(sk={"S": "0"}, g={"S": "G"}, n={"N": "0"}), Limit=2),
    query("g = :g", **GSI, **start()),
    query("g = :g", **GSI, **start(g={"S": "G"}, z={"N": "0"})),
    query("g = :g", **GSI, **start(g={"N": "1"}, n={"N": "0"})),
    query(**LSI, Limit=1),
    query(**LSI, Limit=1, Select="ALL_ATTRIBUTES", **INDEXES),
    query(**LSI, Limit=1, ProjectionExpression="y", **INDEXES),
    query(**LSI, ScanIndexForward=False, Limit=2, ConsistentRead=True, ReturnConsumedCapacity="TOTAL"),
    ("Query", T),
    ("Query", {**T, "KeyConditions": OF_Q, "Limit": 1}),
    ("Query", {**T, "KeyConditions": {"pk": {"ComparisonOperator": "EQ"}}}),
    ("Query", {**T, "KeyConditions": {**OF_Q, "sk": legacy("BETWEEN", {"S": "1"}, {"S": "3"})}}),
    ("Query", {**T, "KeyConditions": OF_Q, "QueryFilter": {"x": legacy("GT", {"N": "3"})}}),
    ("Query", {**T, "KeyConditions": OF_Q, "QueryFilter": {"sk": legacy("GT", {"S": "3"})}}),
    ("Query", {**T, "KeyConditions": OF_Q, "QueryFilter": {"x": legacy("GT", {"BOOL": True})}}),
    query(KeyConditions=OF_Q),
]
SCANS: Requests = [
    ("Scan", {**T, **parts})
    for parts in (
        *({"Limit": 1}, {"Limit": 0}, {"Segment": 0}, {"TotalSegments": 1}, {"Select": "COUNT"}),
        {"Segment": 1, "TotalSegments": 1},
        {"Segment": -1, "TotalSegments": 1},
        {"Segment": 0, "TotalSegments": 0},
        {"Segment": 0, "TotalSegments": 1_000_001},
        {"Select": "SPECIFIC_ATTRIBUTES"},
        {"Select": "ALL_PROJECTED_ATTRIBUTES"},
        {**GSI, "Limit": 1},
        {**GSI, "ConsistentRead": True},
        {**GSI, "Select": "ALL_ATTRIBUTES"},
        {**LSI, "Limit": 1},
        {"IndexName": "nope"},
        {"ExclusiveStartKey": {"pk": {"S": "a"}}},
        start(),
        {"FilterExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "q"}}},
        {"FilterExpression": "sk.a = :p", "ExpressionAttributeValues": {":p": {"S": "q"}}},
        {"ExpressionAttributeValues": {":p": {"S": "q"}}},
        {"ScanFilter": {"x": legacy("GT", {"N": "3"})}},
        {"ScanFilter": {"x": legacy("IN", {"N": "3"}, {"N": "1"}), "y": legacy("NULL")}},
        {"ScanFilter": {"x": legacy("BETWEEN", {"N": "1"})}},
        {"ScanFilter": {}, "FilterExpression": "x = :x"},
        {"AttributesToGet": ["x"], "Limit": 1},
        {"TableName": "nowhere"},
        {"Limit": 1, **INDEXES},
    )
]
READ_KEYS = [
    {},
    {"pk": {"S": "a"}},
    {**key("a", "1"), "x": {"S": "1"}},
    {"pk": {"S": "a"}, "sk": {"N": "1"}},
    {"pk": {"S": "a"}, "sk": {"S": ""}},
    {"pk": {"S": "a"}, "q": {"S": "1"}},
    {"pk": {"S": "a"}, "sk": {"S": "1", "N": "1"}},
    {"pk": {"S": "a"}, "sk": {"SS": []}},
]
GETS: Requests = [
    ("GetItem", {}),
    ("GetItem", T),
    ("GetItem", {"Key": key("a", "1")}),
    *(("GetItem", {**T, "Key": bad_key}) for bad_key in READ_KEYS),
    *(
        ("GetItem", {**T, "Key": key("a", "1"), "ProjectionExpression": expression})
        for expression in (
            *("", "a,,b", "a, a", "a.b, a", "name", "#n", "a b", "a!b", "a[", "nope", "x", "l[0], l[2]"),
            *("l[2], l[0]", "m.q, m.n.a", "m.q, l[1], x", "l[9]", "m.zz", "x.y", "m[0]", "l.a", "m, x, pk"),
        )
    ),
    *(
        ("GetItem", {**T, "Key": key("a", "1"), **parts})
        for parts in (
            {"ProjectionExpression": "pk", "AttributesToGet": ["pk"]},
            {"ProjectionExpression": "pk", "ExpressionAttributeNames": {"#n": "n"}},
            {"ProjectionExpression": "#n", "ExpressionAttributeNames": {"#n": "x"}},
            {"ProjectionExpression": "pk", "ExpressionAttributeNames": {"n": "n"}},
            {"ProjectionExpression": "pk", "ExpressionAttributeNames": {}},
            {"ExpressionAttributeNames": {"#n": "n"}},
            {"AttributesToGet": ["pk", "pk"]},
            {"AttributesToGet": []},
            {"AttributesToGet": ["x", "zz"]},
            {"ConsistentRead": True, **INDEXES},
            {"ReturnConsumedCapacity": "BAD"},
            {"ConsistentRead": "x"},
        )
    ),
    ("GetItem", {**T, "Key": key("a", "9"), "ReturnConsumedCapacity": "TOTAL"}),
]
PUTS: Requests = [
    ("PutItem", {}),
    ("PutItem", T),
    ("PutItem", {"Item": key("a", "1")}),
    *(put(TableName=name) for name in ("", "ab!", "nowhere", 5, "x" * 256)),
    *(put(Item=item) for item in (5, [])),
    *(put(ReturnValues=word) for word in ("ALL_NEW", "BAD", "ALL_OLD")),
    put(ReturnConsumedCapacity="BAD"),
    put(ReturnConsumedCapacity="INDEXES"),
    put(Item={**key("a", "2"), "g": {"S": "G"}, "n": {"N": "1"}}, ReturnConsumedCapacity="INDEXES"),
    put(Item={**key("a", "2"), "g": {"S": "G"}, "n": {"N": "2"}}, ReturnConsumedCapacity="INDEXES"),
    put(ReturnItemCollectionMetrics="BAD"),
    put(Item=key("size", "1"), ReturnItemCollectionMetrics="SIZE"),
    put(ConditionExpression=""),
    put(ExpressionAttributeNames={"#a": "a"}),
    put(ExpressionAttributeValues={":a": {"S": "a"}}),
    put(Expected={"x": {"Exists": False}}, ConditionExpression="attribute_exists(x)"),
    *(
        put(Expected={"x": condition})
        for condition in (
            {"Exists": True},
            {"Exists": False},
            {"Exists": False, "Value": {"N": "1"}},
            {"Value": {"N": "7"}},
            {},
            {"ComparisonOperator": "EQ"},
            {"ComparisonOperator": "EQ", "Exists": True},
            {"AttributeValueList": [{"N": "1"}]},
            {"Value": {"N": "1"}, "AttributeValueList": [{"N": "1"}]},
            legacy("NULL"),
            legacy("NULL", {"N": "1"}),
            legacy("BETWEEN", {"N": "2"}, {"N": "1"}),
            legacy("IN", {"N": "1"}, {"S": "1"}),
            legacy("NOT_NULL"),
        )
    ),
    put(ConditionalOperator="OR"),
    put(ConditionExpression="attribute_exists(pk)", ExpressionAttributeValues={":a": {"SS": []}}),
    put(ConditionExpression="zz <> :v", ExpressionAttributeValues={":v": {"N": "1"}, ":q": {"N": "1"}}),
    put(ConditionExpression="attribute_not_exists(pk)"),
    put(ConditionExpression="attribute_not_exists(pk)", ReturnValuesOnConditionCheckFailure="ALL_OLD"),
]


def update(**parts: Any) -> tuple[str, dict[str, Any]]:
    return "UpdateItem", {**T, "Key": key("a", "1"), **parts}


SEVERAL = "SET l[1] = :s, m.n.a = :v REMOVE ss, nope ADD x :v"
UPDATES_OTHERWISE: Requests = [
    *(
        update(**with_values(SEVERAL, {"UpdateExpression": SEVERAL}), ReturnValues=word)
        for word in ("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW", "BAD")
    ),
    update(ReturnValues="ALL_NEW"),
    update(Key=key("new", "1"), ReturnValues="ALL_NEW"),
    update(Key=key("new", "2"), UpdateExpression="REMOVE x", ReturnValues="ALL_OLD"),
    update(UpdateExpression=""),
    update(
        UpdateExpression="REMOVE x",
        ConditionExpression="x = :v",
        ExpressionAttributeValues={":v": {"N": "99"}},
    ),
    update(UpdateExpression="REMOVE #x", ExpressionAttributeNames={"#x": "x", "#y": "y"}),
    update(UpdateExpression="REMOVE x", AttributeUpdates={"x": {"Action": "DELETE"}}),
    *(
        update(AttributeUpdates=updates, ReturnValues="UPDATED_NEW")
        for updates in (
            {"x": {"Value": {"N": "5"}}},
            {"x": {"Value": {"N": "5"}, "Action": "ADD"}},
            {"x": {"Action": "DELETE"}},
            {"ss": {"Action": "DELETE", "Value": {"SS": ["a"]}}},
            {"x": {"Action": "PUT"}},
            {"x": {"Action": "DELETE", "Value": {"N": "1"}}},
            {"x": {"Action": "ADD", "Value": {"S": "1"}}},
            {"pk": {"Value": {"S": "5"}}},
            {"x": {"Action": "BAD", "Value": {"S": "1"}}},
            {"l": {"Action": "ADD", "Value": {"L": [{"S": "q"}]}}},
        )
    ),
    ("UpdateItem", {}),
    ("UpdateItem", {**T, "UpdateExpression": "REMOVE x"}),
    update(Key={"pk": {"S": "a"}}),
    update(ReturnConsumedCapacity="INDEXES", UpdateExpression="REMOVE x"),
]


def reads(request_items: Any, **parts: Any) -> tuple[str, dict[str, Any]]:
    return "BatchGetItem", {"RequestItems": request_items, **parts}


def keys(*pairs: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {TABLE: {"Keys": list(pairs), **parts}}


def writes(*entries: Any, **parts: Any) -> tuple[str, dict[str, Any]]:
    return "BatchWriteItem", {"RequestItems": {TABLE: list(entries)}, **parts}


def stores(*pair: str, **attributes: Any) -> dict[str, Any]:
    return {"PutRequest": {"Item": {**key(*pair), **attributes}}}


def deletes(*pair: str) -> dict[str, Any]:
    return {"DeleteRequest": {"Key": key(*pair)}}


BATCHES: Requests = [
    reads({}),
    reads(keys()),
    reads(keys(key("a", "1"), key("a", "1"))),
    reads(keys(*(key("a", str(number)) for number in range(101)))),
    reads({"nowhere": {"Keys": [key("a", "1")]}}),
    *(reads(keys(bad_key)) for bad_key in READ_KEYS),
    reads(keys(key("a", "1"), ProjectionExpression="x, m.q")),
    reads(keys(key("a", "1"), ProjectionExpression="pk, pk")),
    reads(keys(key("a", "1"), ProjectionExpression="")),
    reads(keys(key("a", "1"), ExpressionAttributeNames={"#a": "b"})),
    reads(keys(key("a", "1"), ProjectionExpression="pk", AttributesToGet=["pk"])),
    reads(keys(key("a", "1"), AttributesToGet=["pk", "pk"])),
    reads(keys(key("a", "1"), key("q", "1"), key("z", "z")), ReturnConsumedCapacity="TOTAL"),
    reads(keys(key("a", "1"), ConsistentRead=True), **INDEXES),
    reads({"t!t": {"Keys": [key("a", "1")]}}),
    reads(5),
    reads({TABLE: 5}),
    reads({TABLE: {"Keys": 5}}),
    reads({TABLE: {"Keys": [5]}}),
    ("BatchWriteItem", {"RequestItems": {}}),
    writes(),
    writes({}),
    writes(stores("w", "1"), stores("w", "1")),
    writes(stores("w", "1"), deletes("w", "1")),
    writes(deletes("w", "1"), deletes("w", "1")),
    ("BatchWriteItem", {"RequestItems": {"nowhere": [stores("w", "1")]}}),
    writes({"PutRequest": {"Item": {"pk": {"S": "a"}}}}),
    writes(stores("a", "1", g={"N": "1"})),
    writes(stores("", "1")),
    writes(deletes("", "1")),
    writes({"PutRequest": {"Item": {"pk": {"N": "1"}, "sk": {"S": "1"}}}}),
    writes({"DeleteRequest": {"Key": {"pk": {"N": "1"}, "sk": {"S": "1"}}}}),
    writes({"DeleteRequest": {"Key": {"pk": {"S": "1"}}}}),
    writes(stores("a", "1", x={"SS": []})),
    writes(stores("a", "1", x={"S": "x" * 409_600})),
    writes(stores("w", "1"), deletes("w", "2"), ReturnItemCollectionMetrics="SIZE", **INDEXES),
    writes(5),
    ("BatchWriteItem", {"RequestItems": {TABLE: 5}}),
]


def transaction(*actions: Any, **parts: Any) -> tuple[str, dict[str, Any]]:
    return "TransactWriteItems", {"TransactItems": list(actions), **parts}


def action(kind: str, sk: str, **parts: Any) -> dict[str, Any]:
    target = {"Item": key("t", sk)} if kind == "Put" else {"Key": key("t", sk)}
    return {kind: {**T, **target, **parts}}


def get(sk: str, **parts: Any) -> dict[str, Any]:
    return {"Get": {**T, "Key": key("t", sk), **parts}}


ADD = {"UpdateExpression": "ADD x :v", "ExpressionAttributeValues": {":v": {"N": "1"}}}
ADD_TWO = {**ADD, "ExpressionAttributeValues": {":v": {"N": "2"}}}
EXISTS = {"ConditionExpression": "attribute_exists(pk)"}
NEW = {"ConditionExpression": "attribute_not_exists(pk)"}
ALL_OLD = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
TRANSACTIONS: Requests = [
    transaction(),
    transaction(action("Put", "1"), action("Put", "1")),
    transaction(action("Put", "1"), action("Delete", "1")),
    transaction({"Put": {"TableName": "nowhere", "Item": key("a", "1")}}),
    transaction(action("Put", "1"), {"Put": {"TableName": "nowhere", "Item": key("a", "1")}}),
    transaction(action("Put", "1", ConditionExpression="attribute_exists(zz)"), action("Put", "2")),
    ("GetItem", {**T, "Key": key("t", "2")}),
    transaction(action("Put", "1")),
    transaction(action("Put", "2"), action("Put", "1", **NEW, **ALL_OLD)),
    ("GetItem", {**T, "Key": key("t", "2")}),
    transaction(action("ConditionCheck", "1", **EXISTS)),
    transaction(action("ConditionCheck", "3", **EXISTS)),
    transaction(action("Update", "1", **ADD), action("Delete", "9")),
    transaction(action("Update", "1", UpdateExpression="SET x = y")),
    transaction({"Put": {**T, "Item": key("", "1")}}),
    transaction({"Delete": {**T, "Key": key("", "1")}}),
    transaction({"Delete": {**T, "Key": {"pk": {"S": "t"}}}}),
    transaction({"Put": {**T, "Item": {"pk": {"S": "t"}}}}),
    transaction({"Put": {**T, "Item": {**key("t", "1"), "g": {"N": "1"}}}}),
    transaction({"Put": {**T, "Item": {**key("t", "1"), "x": {"SS": []}}}}),
    transaction({"Put": {**T, "Item": {**key("t", "1"), "x": {"S": "x" * 409_600}}}}),
    transaction(action("Put", "1"), ClientRequestToken="x" * 37),
    transaction(action("Update", "5", **ADD), ClientRequestToken="{token}"),
    transaction(action("Update", "5", **ADD), ClientRequestToken="{token}", ReturnConsumedCapacity="TOTAL"),
    transaction(action("Update", "5", **ADD_TWO), ClientRequestToken="{token}"),
    ("GetItem", {**T, "Key": key("t", "5")}),
    transaction(action("Put", "1"), action("Delete", "2"), **INDEXES),
    transaction(
        action("Update", "1", UpdateExpression="SET g = :v", ExpressionAttributeValues={":v": {"N": "1"}})
    ),
    transaction(
        action("Update", "1", UpdateExpression="SET g = :v", ExpressionAttributeValues={":v": {"S": ""}})
    ),
    ("TransactGetItems", {"TransactItems": []}),
    *(
        ("TransactGetItems", {"TransactItems": list(gets), **parts})
        for gets, parts in (
            ([get("1"), get("zz")], {}),
            ([get("1"), get("zz")], INDEXES),
            ([get("1"), get("1")], {}),
            ([{"Get": {"TableName": "nowhere", "Key": key("a", "1")}}], {}),
            ([{"Get": {**T, "Key": {"pk": {"S": "a"}}}}, get("1")], {}),
            ([{"Get": {**T, "Key": key("", "1")}}], {}),
            ([get("1", ProjectionExpression="nope")], {}),
            ([get("1", ProjectionExpression="pk, pk")], {}),
            ([get("1", ProjectionExpression="sk")], {}),
        )
    ),
]
KS = [{"AttributeName": "pk", "KeyType": "HASH"}]
AD = [{"AttributeName": "pk", "AttributeType": "S"}]
NEW_TABLE = {"TableName": "new_table", "KeySchema": KS, "AttributeDefinitions": AD}
ON_DEMAND = {**NEW_TABLE, "BillingMode": "PAY_PER_REQUEST"}
UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
OF_NEW = {"TableName": "new_table"}
Z = {"AttributeName": "z", "AttributeType": "S"}
Z_INDEX = {
    "IndexName": "by_z",
    "KeySchema": [{"AttributeName": "z", "KeyType": "HASH"}],
    "Projection": {"ProjectionType": "ALL"},
}


def ttl(name: str, is_enabled: bool = True, **parts: Any) -> tuple[str, dict[str, Any]]:
    specification = {"Enabled": is_enabled, "AttributeName": name}
    return "UpdateTimeToLive", {**T, "TimeToLiveSpecification": specification, **parts}


TABLES: Requests = [
    *(
        ("CreateTable", request)
        for request in (
            {},
            {**ON_DEMAND, "TableName": "a"},
            {**ON_DEMAND, "TableName": "a!"},
            {"TableName": "abc"},
            {**ON_DEMAND, "BillingMode": "X"},
            {**ON_DEMAND, "KeySchema": []},
            {**ON_DEMAND, "KeySchema": KS * 3},
            {**ON_DEMAND, "KeySchema": [{"AttributeName": "pk", "KeyType": "X"}]},
            {**ON_DEMAND, "KeySchema": [{"AttributeName": "pk", "KeyType": "RANGE"}]},
            {**ON_DEMAND, "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "X"}]},
            {**ON_DEMAND, "AttributeDefinitions": []},
            {**ON_DEMAND, "AttributeDefinitions": [*AD, Z]},
            {**NEW_TABLE, "BillingMode": "PROVISIONED"},
            {**ON_DEMAND, "ProvisionedThroughput": UNITS},
            {**NEW_TABLE, "ProvisionedThroughput": {"ReadCapacityUnits": 0, "WriteCapacityUnits": 1}},
            {**ON_DEMAND, "GlobalSecondaryIndexes": []},
            {**ON_DEMAND, "GlobalSecondaryIndexes": [Z_INDEX]},
            {**ON_DEMAND, "GlobalSecondaryIndexes": [{"IndexName": "x"}]},
            {**ON_DEMAND, "LocalSecondaryIndexes": [Z_INDEX]},
            {**ON_DEMAND, "AttributeDefinitions": [*AD, Z], "GlobalSecondaryIndexes": [Z_INDEX]},
            ON_DEMAND,
        )
    ),
    ("DescribeTable", OF_NEW),
    ("DeleteTable", OF_NEW),
    ("DeleteTable", OF_NEW),
    ("CreateTable", {**NEW_TABLE, "BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS}),
    ("DescribeTable", OF_NEW),
    ("UpdateTable", OF_NEW),
    ("UpdateTable", {**OF_NEW, "DeletionProtectionEnabled": True}),
    ("DeleteTable", OF_NEW),
    ("UpdateTable", {**OF_NEW, "DeletionProtectionEnabled": False}),
    ("UpdateTable", {**OF_NEW, "ProvisionedThroughput": UNITS}),
    ("UpdateTable", {**OF_NEW, "GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": "nope"}}]}),
    ("UpdateTable", {**OF_NEW, "GlobalSecondaryIndexUpdates": [{}]}),
    ("UpdateTable", {"TableName": "nowhere", "DeletionProtectionEnabled": False}),
    (
        "UpdateTable",
        {
            **OF_NEW,
            "AttributeDefinitions": [*AD, Z],
            "GlobalSecondaryIndexUpdates": [{"Create": Z_INDEX}],
        },
    ),
    ("DeleteTable", OF_NEW),
    ("DescribeTable", {}),
    ("DescribeTable", {"TableName": "a"}),
    ("DescribeTable", {"TableName": "nowhere"}),
    *(("ListTables", {"Limit": limit}) for limit in (0, 101)),
    ("ListTables", {"ExclusiveStartTableName": "a"}),
    ("DescribeTimeToLive", T),
    ttl("t"),
    ("DescribeTimeToLive", T),
    ttl("u"),
    ttl("t", False),
    ("DescribeTimeToLive", T),
    ttl(""),
    ttl("t", TableName="nowhere"),
    ("DescribeTimeToLive", {"TableName": "nowhere"}),
    ("TagResource", {}),
    ("TagResource", {"ResourceArn": "x", "Tags": []}),
    ("Nonsense", {}),
]
GROUPS: dict[str, Requests] = {
    "values": [request for value in STORED for request in stored(value)],
    "items": [put(Item=item) for item in ITEMS],
    "puts": PUTS,
    "gets": [("PutItem", {**T, "Item": BASE}), *GETS],
    "conditions": [
        ("PutItem", {**T, "Item": BASE}),
        *(
            ("DeleteItem", with_values(text, {**T, "Key": key("a", "2"), "ConditionExpression": text}))
            for text in CONDITIONS
            if text
        ),
        *(
            ("UpdateItem", with_values(text, {**T, "Key": key("a", "1"), "ConditionExpression": text}))
            for text in CONDITIONS
            if text
        ),
    ],
    "updates": [
        request
        for text in UPDATES
        if text
        for request in (
            ("PutItem", {**T, "Item": BASE}),
            update(**with_values(text, {"UpdateExpression": text}), ReturnValues="UPDATED_NEW"),
            ("GetItem", {**T, "Key": key("a", "1")}),
        )
    ],
    "other updates": [
        request for other in UPDATES_OTHERWISE for request in (("PutItem", {**T, "Item": BASE}), other)
    ],
    "key conditions": [query(text) for text in KEY_CONDITIONS if text],
    "queries": QUERIES,
    "scans": SCANS,
    "batches": BATCHES,
    "transactions": TRANSACTIONS,
    "tables": TABLES,
}


@pytest.fixture(scope="module")
def both(engines: Engines) -> Iterator[TwoEngines]:
    """Both engines, with a table that has the same items."""
    two_engines = TwoEngines(str(ready_or_refused(engines, "dynoxide").endpoint_url))
    two_engines.ask("CreateTable", TABLE_REQUEST)
    for number in range(5):
        attributes = {"g": {"S": "G"}, "n": {"N": str(number % 3)}, "x": {"N": str(number)}, "y": {"S": "y"}}
        two_engines.ask("PutItem", {**T, "Item": {**key("q", str(number)), **attributes}})
    yield two_engines
    for name in (TABLE, "new_table"):
        two_engines.ask("DeleteTable", {"TableName": name})
    two_engines.close()


@pytest.mark.parametrize("group", GROUPS)
def test_each_request_is_answered_as_dynoxide_does(both: TwoEngines, group: str, unused_token: str) -> None:
    """Status, type and text of errors, items, capacity and keys to go on with."""
    requests = GROUPS[group]
    if group == "transactions":
        requests = [(name, {**request, **_token(request, unused_token)}) for name, request in requests]
    differences = [both.difference(operation, request) for operation, request in requests]
    assert "\n".join(difference for difference in differences if difference) == ""


def _token(request: dict[str, Any], token: str) -> dict[str, str]:
    return {"ClientRequestToken": token} if request.get("ClientRequestToken") == "{token}" else {}


@pytest.fixture
def unused_token() -> str:
    """A token of transactions that no test has used."""
    return str(uuid.uuid4())


SET_FAR = "SET l[9] = :s, l[7] = :v"
OF_DYNAMODB: list[tuple[str, str, dict[str, Any], Any]] = [
    (
        "an index behind the end of a list appends",
        *update(**with_values(SET_FAR, {"UpdateExpression": SET_FAR}), ReturnValues="UPDATED_NEW"),
        {"Attributes": {"l": {"L": [*BASE["l"]["L"], {"N": "1"}, {"S": "a"}]}}},  # type: ignore[index]
    ),
    (
        "indexes of removed members are those before the update",
        *update(UpdateExpression="REMOVE l[0], l[1]", ReturnValues="UPDATED_NEW"),
        {"Attributes": {"l": {"L": [{"S": "c"}, {"S": "d"}]}}},
    ),
    (
        "a key condition may name the sort key first",
        *query("sk = :two_s AND pk = :p", Select="COUNT"),
        {"Count": 1, "ScannedCount": 1},
    ),
    (
        "a key has one condition",
        *query("pk = :p AND pk = :two_s"),
        "KeyConditionExpressions must only contain one condition per key",
    ),
    (
        "a key condition has the key's type",
        *query("pk = :v"),
        "One or more parameter values were invalid: Condition parameter type does not match schema type",
    ),
    ("the partition key is compared for equality", *query("pk > :p"), "Query key condition not supported"),
    (
        "an empty key value is no condition",
        *query("pk = :e"),
        "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain an "
        "empty string value. Key: pk",
    ),
    (
        "an entry of a batch is one write",
        *writes({**stores("w", "1"), **deletes("w", "2")}),
        "Supplied AttributeValue has more than one datatypes set, must contain exactly one of the supported "
        "datatypes",
    ),
    (
        "an entry of a transaction is one action",
        *transaction({**action("Put", "1"), **action("Delete", "2")}),
        "TransactItems can only contain one of Check, Put, Update or Delete",
    ),
    (
        "a syntax error names its place",
        *put(ConditionExpression="attribute_exists(x) AND"),
        '1 validation error detected: Invalid ConditionExpression: Syntax error; token: "<EOF>", '
        'near: "AND <EOF>"',
    ),
    (
        "a required member is missing",
        "BatchGetItem",
        {},
        "1 validation error detected: Value null at 'requestItems' failed to satisfy constraint: "
        "Member must not be null",
    ),
    (
        "a text is no number",
        *put(Item={**key("a", "1"), "a": {"S": 5}}),
        "NUMBER_VALUE cannot be converted to String",
    ),
    ("TTL is on already", *ttl("t", TableName=TABLE), "TimeToLive is already enabled"),
]
"""Requests that dynoxide answers in another way than DynamoDB."""


@pytest.mark.parametrize(("operation", "request_body", "expected"), [case[1:] for case in OF_DYNAMODB])
def test_requests_that_only_dynamodb_answers_so(
    both: TwoEngines, operation: str, request_body: dict[str, Any], expected: Any
) -> None:
    """What DynamoDB's documentation says, where dynoxide differs."""
    both.embedded.answer_to("DynamoDB_20120810.UpdateTimeToLive", json.dumps(ttl("t")[1]))
    both.embedded.answer_to("DynamoDB_20120810.PutItem", json.dumps({**T, "Item": BASE}))
    _, _, body = both.embedded.answer_to(f"DynamoDB_20120810.{operation}", json.dumps(request_body))
    answer = json.loads(body)
    assert (fault_of((400, answer))[1] if "__type" in answer else answer) == expected


@pytest.mark.parametrize("count", [25, 26])
def test_a_batch_writes_at_most_25_items(both: TwoEngines, count: int) -> None:
    embedded, dynoxide = both.ask(*writes(*(stores("w", str(number)) for number in range(count))))
    assert embedded[0] == dynoxide[0] == (200 if count == 25 else 400)
    assert count == 25 or "Member must have length less than or equal to 25" in fault_of(embedded)[1]


@pytest.mark.parametrize("count", [100, 101])
def test_a_transaction_has_at_most_100_actions(both: TwoEngines, count: int) -> None:
    embedded, dynoxide = both.ask(*transaction(*(action("Put", str(number)) for number in range(count))))
    assert embedded[0] == dynoxide[0] == (200 if count == 100 else 400)
    assert count == 100 or "Member must have length less than or equal to 100" in fault_of(embedded)[1]


@pytest.mark.parametrize("body", ["{", "", "[]", '"x"'])
def test_what_is_no_request_is_refused(both: TwoEngines, body: str) -> None:
    assert both.difference("GetItem", body) is None


def test_pages_end_at_a_megabyte(both: TwoEngines) -> None:
    """A page of a query or a scan, of 3 items with 400 KB each, has two of them."""
    for number in range(3):
        item = {**key("large", str(number)), "big": {"S": "x" * 400_000}}
        assert both.difference("PutItem", {**T, "Item": item}) is None
    counted = {"Select": "COUNT", "ExpressionAttributeValues": {":p": {"S": "large"}}}
    request = {**T, "KeyConditionExpression": "pk = :p", **counted}
    embedded, dynoxide = both.ask("Query", request)
    for _, page in (embedded, dynoxide):
        assert (page["Count"], page["LastEvaluatedKey"]) == (2, key("large", "1"))
