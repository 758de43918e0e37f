"""Tables: how they are made, changed, described, tagged and deleted, and what DynamoDB refuses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.integration.embedded_engine.conftest import Requests, TextOfFault
from tests.support.two_engines import TwoEngines

NEW = {"TableName": "new_table"}
ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/new_table"
INVALID = "One or more parameter values were invalid: "
FAILED = "failed to satisfy constraint: Member must"
NOT_NULL = f"{FAILED} not be null"
UNITS = {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5}
PROVISIONED = {"BillingMode": "PROVISIONED", "ProvisionedThroughput": UNITS}
STREAM = {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}
ALL = {"ProjectionType": "ALL"}


def key_schema(*names: str, kinds: tuple[str, ...] = ("HASH", "RANGE", "RANGE")) -> list[dict[str, str]]:
    return [{"AttributeName": name, "KeyType": kind} for name, kind in zip(names, kinds, strict=False)]


def definitions(*names: str) -> list[dict[str, str]]:
    return [{"AttributeName": name, "AttributeType": "S"} for name in names]


def one_fault(text: str) -> str:
    return f"1 validation error detected: {text}"


SIMPLE: dict[str, Any] = {
    **NEW,
    "KeySchema": key_schema("pk"),
    "AttributeDefinitions": definitions("pk"),
    "BillingMode": "PAY_PER_REQUEST",
}


def without(name: str) -> dict[str, Any]:
    return {member: part for member, part in SIMPLE.items() if member != name}


def index(name: str = "by_z", *names: str, **parts: Any) -> dict[str, Any]:
    return {"IndexName": name, "KeySchema": key_schema(*(names or ("z",))), "Projection": ALL, **parts}


def with_global(*indexes: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {
        **SIMPLE,
        "AttributeDefinitions": definitions("pk", "z"),
        "GlobalSecondaryIndexes": list(indexes),
        **parts,
    }


def with_local(*indexes: dict[str, Any], **parts: Any) -> dict[str, Any]:
    return {
        **SIMPLE,
        "KeySchema": key_schema("pk", "sk"),
        "AttributeDefinitions": definitions("pk", "sk", "z"),
        "LocalSecondaryIndexes": list(indexes),
        **parts,
    }


def of_index(rule: Any) -> dict[str, Any]:
    """A table whose index has a projection."""
    return with_global(index(Projection=rule))


SCHEMAS: list[dict[str, Any]] = [
    SIMPLE,
    *(without(name) for name in ("KeySchema", "AttributeDefinitions", "TableName")),
    *({**SIMPLE, "TableName": name} for name in ("ab", "a!b", "a" * 256, ARN)),
    *(
        {**SIMPLE, "KeySchema": schema}
        for schema in (
            [],
            [{"KeyType": "HASH"}],
            [{"AttributeName": "pk"}],
            key_schema("pk", kinds=("ODD",)),
            key_schema("pk", kinds=("RANGE",)),
            key_schema("pk", "pk"),
            key_schema("pk", "pk", "pk"),
            key_schema("pk", "sk"),
        )
    ),
    {**SIMPLE, "KeySchema": key_schema("pk", "sk"), "AttributeDefinitions": definitions("pk", "sk")},
    {**SIMPLE, "KeySchema": key_schema("pk", "sk"), "AttributeDefinitions": definitions("z", "y")},
    {
        **SIMPLE,
        "KeySchema": key_schema("pk", "sk", kinds=("HASH", "HASH")),
        "AttributeDefinitions": definitions("pk", "sk"),
    },
    *(
        {**SIMPLE, "AttributeDefinitions": parts}
        for parts in (
            [],
            [{"AttributeName": "pk"}],
            [{"AttributeType": "S"}],
            [{"AttributeName": "pk", "AttributeType": "BOOL"}],
            definitions("z"),
            definitions("pk", "z"),
        )
    ),
]
SETTINGS: list[dict[str, Any]] = [
    {**SIMPLE, **PROVISIONED},
    {**SIMPLE, "ProvisionedThroughput": UNITS},
    *(
        {**without("BillingMode"), "ProvisionedThroughput": units}
        for units in (
            UNITS,
            {},
            {"ReadCapacityUnits": 1},
            {"ReadCapacityUnits": 0, "WriteCapacityUnits": 1},
            {"ReadCapacityUnits": 10**12 + 1, "WriteCapacityUnits": 1},
            {"ReadCapacityUnits": 1, "WriteCapacityUnits": 10**12 + 1},
        )
    ),
    {**SIMPLE, "BillingMode": "PROVISIONED"},
    {**SIMPLE, "BillingMode": "FREE"},
    {**SIMPLE, "StreamSpecification": STREAM},
    {**SIMPLE, "StreamSpecification": {"StreamEnabled": False}},
    {**SIMPLE, "StreamSpecification": {"StreamEnabled": False, "StreamViewType": "KEYS_ONLY"}},
    {**SIMPLE, "TableClass": "STANDARD_INFREQUENT_ACCESS"},
    {**SIMPLE, "TableClass": "ODD"},
    {**SIMPLE, "DeletionProtectionEnabled": False},
    {**SIMPLE, "Tags": [{"Key": "a", "Value": "b"}]},
]
GLOBAL: list[dict[str, Any]] = [
    with_global(index()),
    with_global(),
    with_global(index("by_z", "z", "pk")),
    with_global(index(), index()),
    with_global(index("zz")),
    with_global(index("z!z")),
    with_global({"IndexName": "by_z"}),
    with_global({"KeySchema": key_schema("z"), "Projection": ALL}),
    with_global(*(index(f"by_{number}") for number in range(21))),
    with_global(index("by_z", "unknown")),
    with_global(index("by_z", "z", "z")),
    with_global(index(KeySchema=key_schema("z", kinds=("RANGE",)))),
    with_global(index(KeySchema=key_schema("z", "pk", kinds=("HASH", "HASH")))),
    with_global(index(ProvisionedThroughput=UNITS)),
    with_global(index(ProvisionedThroughput=UNITS), **PROVISIONED),
    with_global(index(ProvisionedThroughput={"ReadCapacityUnits": 0}), **PROVISIONED),
    *(
        of_index(rule)
        for rule in (
            None,
            {},
            {"ProjectionType": "SOME"},
            {"ProjectionType": "KEYS_ONLY"},
            {"ProjectionType": "ALL", "NonKeyAttributes": ["a"]},
            {"ProjectionType": "INCLUDE"},
            {"ProjectionType": "INCLUDE", "NonKeyAttributes": []},
            {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["a"]},
        )
    ),
]
LOCAL: list[dict[str, Any]] = [
    with_local(index("by_z", "pk", "z")),
    with_local(),
    with_local(index("by_z", "pk")),
    with_local(index("by_z", "sk", "z")),
    with_local(index("zz", "pk", "z")),
    with_local({"IndexName": "by_z"}),
    with_local(*(index(f"by_{number}", "pk", "z") for number in range(6))),
    with_local(index("by_z", "pk", "z"), GlobalSecondaryIndexes=[index()]),
    with_local(index("by_z", "pk", "z"), GlobalSecondaryIndexes=[index("other")]),
    {**with_global(), "GlobalSecondaryIndexes": None, "LocalSecondaryIndexes": [index("by_z", "pk", "z")]},
]


@pytest.mark.parametrize("request_body", [*SCHEMAS, *SETTINGS, *GLOBAL, *LOCAL], ids=str)
def test_tables_are_made_as_dynoxide_makes_them(both: TwoEngines, request_body: dict[str, Any]) -> None:
    """Made, described and deleted, or refused with the same words."""
    requests = [("CreateTable", request_body), ("DescribeTable", NEW), ("DeleteTable", NEW)]
    assert both.differences(requests) == ""


CREATE_FAULTS: list[tuple[dict[str, Any], str]] = [
    (
        without("BillingMode"),
        f"{INVALID}ReadCapacityUnits and WriteCapacityUnits must both be specified when BillingMode is PROVISIONED",
    ),
    (
        {**SIMPLE, "StreamSpecification": {}},
        one_fault(f"Value null at 'streamSpecification.streamEnabled' {NOT_NULL}"),
    ),
    (
        {**SIMPLE, "StreamSpecification": {"StreamEnabled": True}},
        one_fault(f"Value null at 'streamSpecification.streamViewType' {NOT_NULL}"),
    ),
    (
        {**SIMPLE, "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "ODD"}},
        one_fault(
            f"Value 'ODD' at 'streamSpecification.streamViewType' {FAILED} satisfy enum value set: "
            "[NEW_IMAGE, OLD_IMAGE, NEW_AND_OLD_IMAGES, KEYS_ONLY]"
        ),
    ),
    ({**SIMPLE, "Tags": [{"Key": "a"}]}, one_fault(f"Value null at 'tags.1.member.value' {NOT_NULL}")),
    (
        {**SIMPLE, "Tags": [{"Key": "a", "Value": "b"}, {"Value": "b"}]},
        one_fault(f"Value null at 'tags.2.member.key' {NOT_NULL}"),
    ),
    (
        with_global(index("by_z", "z", "z", "z")),
        "Both the Hash Key and the Range Key element in the KeySchema have the same name",
    ),
]


@pytest.mark.parametrize(("request_body", "text"), CREATE_FAULTS, ids=str)
def test_tables_that_dynamodb_does_not_make(
    text_of_fault: TextOfFault, request_body: dict[str, Any], text: str
) -> None:
    """dynoxide makes them, or names the place in the JSON."""
    assert text_of_fault("CreateTable", request_body) == text


@pytest.fixture
def new_table(both: TwoEngines) -> Iterator[TwoEngines]:
    """Both engines, with a table that is not on demand."""
    assert both.difference("CreateTable", {**SIMPLE, **PROVISIONED}) is None
    yield both
    both.ask("UpdateTable", {**NEW, "DeletionProtectionEnabled": False})
    assert [answer[0] for answer in both.ask("DeleteTable", NEW)] == [200, 200]


def change(**parts: Any) -> tuple[str, dict[str, Any]]:
    return "UpdateTable", {**NEW, **parts}


def change_indexes(*updates: dict[str, Any], **parts: Any) -> tuple[str, dict[str, Any]]:
    return change(GlobalSecondaryIndexUpdates=list(updates), **parts)


DESCRIBE = ("DescribeTable", NEW)
CREATE_INDEX = {"Create": index(ProvisionedThroughput=UNITS)}
ODD_CHANGES: Requests = [
    change(),
    change(AttributeDefinitions=definitions("z")),
    change(BillingMode="FREE"),
    change(BillingMode="PROVISIONED"),
    change(BillingMode="PAY_PER_REQUEST", ProvisionedThroughput=UNITS),
    change(ProvisionedThroughput=UNITS),
    change(ProvisionedThroughput={"ReadCapacityUnits": 0, "WriteCapacityUnits": 5}),
    change(ProvisionedThroughput={"ReadCapacityUnits": 10**12 + 1, "WriteCapacityUnits": 5}),
    change(TableClass="ODD"),
    change_indexes(),
    change_indexes({}),
    change_indexes({"Delete": {"IndexName": "nope"}}),
    change_indexes({"Update": {"IndexName": "nope", "ProvisionedThroughput": UNITS}}),
    change_indexes({"Update": {"IndexName": "nope"}}),
    change_indexes({"Update": {"IndexName": "nope", "ProvisionedThroughput": {}}}),
    change_indexes({"Create": index()}),
    change_indexes({"Create": index("by_z", "unknown")}, AttributeDefinitions=definitions("z")),
    change_indexes({"Create": index("other", Projection={})}, AttributeDefinitions=definitions("z")),
    change_indexes(
        {"Create": index(KeySchema=key_schema("z", kinds=("RANGE",)))}, AttributeDefinitions=definitions("z")
    ),
    change_indexes(
        {"Create": index()}, {"Delete": {"IndexName": "by_z"}}, AttributeDefinitions=definitions("z")
    ),
    ("UpdateTable", {}),
    ("UpdateTable", {"TableName": "ab", "BillingMode": "FREE"}),
    ("UpdateTable", {"TableName": "nowhere", "BillingMode": "PAY_PER_REQUEST"}),
    *(
        (name, {"TableName": text})
        for name in ("DescribeTable", "DeleteTable")
        for text in ("a!b", "x" * 256)
    ),
]


def test_changes_with_faults_are_refused_as_dynoxide_does(new_table: TwoEngines) -> None:
    assert new_table.differences([*ODD_CHANGES, DESCRIBE]) == ""


def test_a_table_changes_as_with_dynoxide(new_table: TwoEngines) -> None:
    """Its throughput, its mode, its class and its protection; a change of throughput is described when it is done."""
    other_units = {"ReadCapacityUnits": 6, "WriteCapacityUnits": 5}
    changes = [
        change(ProvisionedThroughput=other_units),
        change(StreamSpecification=STREAM),
        change(StreamSpecification={"StreamEnabled": False}),
        change(BillingMode="PAY_PER_REQUEST"),
        change(ProvisionedThroughput=UNITS),
        change(BillingMode="PAY_PER_REQUEST"),
        change(**PROVISIONED),
        change(TableClass="STANDARD_INFREQUENT_ACCESS"),
        change(DeletionProtectionEnabled=True),
    ]
    requests = [request for each in changes for request in (each, DESCRIBE)]
    assert new_table.differences([*requests, ("DeleteTable", NEW)]) == ""


def test_an_index_is_there_at_once(new_table: TwoEngines) -> None:
    """DynamoDB and dynoxide build it for a while. Its attributes are defined as long as it is there."""

    def description(request: tuple[str, dict[str, Any]]) -> dict[str, Any]:
        status, answer = new_table.ask_embedded(*request)
        assert status == 200, answer
        table: dict[str, Any] = answer["TableDescription"]
        return table

    table = description(change_indexes(CREATE_INDEX, AttributeDefinitions=definitions("pk", "z")))
    assert table["AttributeDefinitions"] == definitions("pk", "z")
    made = table["GlobalSecondaryIndexes"][0]
    assert (made["IndexStatus"], made["ProvisionedThroughput"]["ReadCapacityUnits"]) == ("ACTIVE", 5)
    more = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 5}
    update = {"Update": {"IndexName": "by_z", "ProvisionedThroughput": more}}
    changed = description(change_indexes(update))["GlobalSecondaryIndexes"][0]
    assert changed["ProvisionedThroughput"]["ReadCapacityUnits"] == 7
    status, answer = new_table.ask_embedded(
        *change_indexes(CREATE_INDEX, AttributeDefinitions=definitions("z"))
    )
    assert (status, answer["message"]) == (400, f"{INVALID}Index already exists: by_z")
    table = description(change_indexes({"Delete": {"IndexName": "by_z"}}))
    assert table["AttributeDefinitions"] == definitions("pk") and "GlobalSecondaryIndexes" not in table


def test_a_new_index_leaves_out_items_whose_keys_have_another_type(new_table: TwoEngines) -> None:
    """The table keeps them, and they can be changed and deleted. An empty text is no key of an index either."""
    values: list[dict[str, Any]] = [
        {"S": "b"},
        {"N": "1"},
        {"S": ""},
        {"SS": ["a"]},
        {"NULL": True},
        {"S": "a"},
    ]
    keys = [{"pk": {"S": str(number)}} for number in range(len(values))]
    for key, value in zip(keys, values, strict=True):
        assert new_table.ask_embedded("PutItem", {**NEW, "Item": {**key, "z": value}})[0] == 200
    change_of_table = change_indexes(CREATE_INDEX, AttributeDefinitions=definitions("z"))
    assert new_table.ask_embedded(*change_of_table)[0] == 200

    def indexed_values() -> list[Any]:
        status, answer = new_table.ask_embedded("Scan", {**NEW, "IndexName": "by_z"})
        assert status == 200, answer
        return [item["z"] for item in answer["Items"]]

    assert indexed_values() == [{"S": "a"}, {"S": "b"}]
    touch = {"UpdateExpression": "SET x = :x", "ExpressionAttributeValues": {":x": {"N": "1"}}}
    for key in keys:
        assert new_table.ask_embedded("UpdateItem", {**NEW, "Key": key, **touch})[0] == 200
    assert indexed_values() == [{"S": "a"}, {"S": "b"}]
    for key in keys:
        assert new_table.ask_embedded("DeleteItem", {**NEW, "Key": key})[0] == 200
    assert indexed_values() == []


CHANGE_FAULTS: list[tuple[tuple[str, dict[str, Any]], str]] = [
    (
        change(AttributeDefinitions=[{"AttributeName": "z"}], BillingMode="PAY_PER_REQUEST"),
        one_fault(f"Value null at 'attributeDefinitions.1.member.attributeType' {NOT_NULL}"),
    ),
    (
        change(StreamSpecification={}),
        one_fault(f"Value null at 'streamSpecification.streamEnabled' {NOT_NULL}"),
    ),
    (change(StreamSpecification={"StreamEnabled": False}), "Table has no stream to disable"),
    (
        change_indexes({"Update": {"ProvisionedThroughput": UNITS}}),
        one_fault(f"Value null at 'globalSecondaryIndexUpdates.1.member.update.indexName' {NOT_NULL}"),
    ),
    (
        change_indexes({"Delete": {}}),
        one_fault(f"Value null at 'globalSecondaryIndexUpdates.1.member.delete.indexName' {NOT_NULL}"),
    ),
    (
        change_indexes({"Create": {"IndexName": "by_z", "Projection": ALL}}),
        one_fault(f"Value null at 'globalSecondaryIndexUpdates.1.member.create.keySchema' {NOT_NULL}"),
    ),
]


@pytest.mark.parametrize(("request_part", "text"), CHANGE_FAULTS, ids=str)
def test_changes_that_dynamodb_refuses(
    new_table: TwoEngines, text_of_fault: TextOfFault, request_part: tuple[str, Any], text: str
) -> None:
    """dynoxide makes them, or names the place in the JSON."""
    assert text_of_fault(*request_part) == text


def test_a_stream_is_there_once(new_table: TwoEngines, text_of_fault: TextOfFault) -> None:
    """dynoxide makes another one."""
    assert new_table.ask_embedded(*change(StreamSpecification=STREAM))[0] == 200
    text = text_of_fault(*change(StreamSpecification=STREAM))
    assert text.startswith(f"Table already has an enabled stream: {ARN}/stream/")


def test_encryption_is_described(both: TwoEngines) -> None:
    """With the key of the request; a table without encryption by KMS has no description of it."""
    for specification, expected in (
        (
            {"Enabled": True, "KMSMasterKeyId": "key"},
            {"KMSMasterKeyArn": "key", "SSEType": "KMS", "Status": "ENABLED"},
        ),
        ({"Enabled": False}, None),
    ):
        _, answer = both.ask_embedded("CreateTable", {**SIMPLE, "SSESpecification": specification})
        both.ask_embedded("DeleteTable", NEW)
        assert answer["TableDescription"].get("SSEDescription") == expected


def test_tables_are_named_by_their_arn_too(new_table: TwoEngines) -> None:
    """dynoxide takes the ARN for a name."""
    for name, member in (("DescribeTable", "Table"), ("DescribeTimeToLive", "TimeToLiveDescription")):
        by_name, by_arn = (new_table.ask_embedded(name, {"TableName": text}) for text in ("new_table", ARN))
        assert by_name == by_arn and member in by_arn[1]
    item = {"pk": {"S": "a"}}
    assert new_table.ask_embedded("PutItem", {"TableName": ARN, "Item": item}) == (200, {})
    assert new_table.ask_embedded("GetItem", {**NEW, "Key": item}) == (200, {"Item": item})
    _, answer = new_table.ask_embedded("PutItem", {"TableName": f"{ARN}_other", "Item": item})
    assert answer["message"] == "Requested resource not found"


def test_tables_are_listed_in_order(new_table: TwoEngines) -> None:
    """Page by page; dynoxide has tables of other tests too."""

    def listed(**parts: Any) -> Any:
        return new_table.ask_embedded("ListTables", parts)[1]

    assert listed() == {"TableNames": ["new_table", "requests"]}
    assert listed(Limit=1) == {"TableNames": ["new_table"], "LastEvaluatedTableName": "new_table"}
    assert listed(Limit=1, ExclusiveStartTableName="new_table") == {"TableNames": ["requests"]}
    assert listed(ExclusiveStartTableName="new")["TableNames"] == ["new_table", "requests"]
    assert new_table.difference("ListTables", {"ExclusiveStartTableName": "a!b"}) is None


TAG = {"Key": "a", "Value": "b"}


def tagged(**parts: Any) -> tuple[str, dict[str, Any]]:
    return "TagResource", {"ResourceArn": ARN, **parts}


TAGS: Requests = [
    tagged(Tags=[TAG]),
    ("ListTagsOfResource", {"ResourceArn": ARN}),
    tagged(Tags=[{**TAG, "Value": "c"}, {"Key": "d", "Value": ""}]),
    ("ListTagsOfResource", {"ResourceArn": ARN}),
    ("UntagResource", {"ResourceArn": ARN, "TagKeys": ["a", "nope"]}),
    ("ListTagsOfResource", {"ResourceArn": ARN}),
    tagged(Tags=[]),
    tagged(),
    *(tagged(ResourceArn=arn, Tags=[TAG]) for arn in (f"{ARN}x", "arn:aws:dynamodb:x", "odd")),
    ("UntagResource", {}),
    ("UntagResource", {"ResourceArn": ARN}),
    *(("UntagResource", {"ResourceArn": arn, "TagKeys": ["a"]}) for arn in (f"{ARN}x", "odd")),
    ("ListTagsOfResource", {"ResourceArn": "odd"}),
    ("ListTagsOfResource", {}),
]


def test_tags_are_kept_as_dynoxide_keeps_them(new_table: TwoEngines) -> None:
    assert new_table.differences(TAGS) == ""


def test_tags_of_an_unknown_table_are_not_told(text_of_fault: TextOfFault) -> None:
    """As DynamoDB does not tell whether the table is there."""
    assert text_of_fault("ListTagsOfResource", {"ResourceArn": ARN}) == (
        "User: arn:aws:iam::123456789012:root is not authorized to perform: dynamodb:ListTagsOfResource "
        f"on resource: {ARN}"
    )


def test_a_table_has_at_most_50_tags(new_table: TwoEngines, text_of_fault: TextOfFault) -> None:
    """dynoxide says it in other words."""
    tags = [{"Key": str(number), "Value": "x"} for number in range(51)]
    assert new_table.ask_embedded(*tagged(Tags=tags[:50])) == (200, {})
    assert "Too many tags" in text_of_fault(*tagged(Tags=tags[50:]))
    assert text_of_fault(*tagged(Tags=[{"Key": "a"}])) == one_fault(
        f"Value null at 'tags.1.member.value' {NOT_NULL}"
    )


def expiry(**specification: Any) -> tuple[str, dict[str, Any]]:
    return "UpdateTimeToLive", {**NEW, "TimeToLiveSpecification": specification}


def test_time_to_live_is_on_or_off(new_table: TwoEngines, text_of_fault: TextOfFault) -> None:
    """dynoxide sets again what is set, and names the place in the JSON for what is missing."""
    place = "Value null at 'timeToLiveSpecification"
    assert text_of_fault("UpdateTimeToLive", NEW) == one_fault(f"{place}' {NOT_NULL}")
    assert text_of_fault(*expiry(Enabled=True)) == one_fault(f"{place}.attributeName' {NOT_NULL}")
    assert text_of_fault(*expiry(AttributeName="t")) == one_fault(f"{place}.enabled' {NOT_NULL}")
    assert text_of_fault(*expiry(Enabled=False, AttributeName="t")) == "TimeToLive is already disabled"
    steps = [
        expiry(Enabled=True, AttributeName=""),
        expiry(Enabled=True, AttributeName="t"),
        ("DescribeTimeToLive", NEW),
        expiry(Enabled=True, AttributeName="u"),
    ]
    assert new_table.differences(steps) == ""
    assert text_of_fault(*expiry(Enabled=True, AttributeName="t")) == "TimeToLive is already enabled"
    steps = [
        expiry(Enabled=False, AttributeName="t"),
        ("DescribeTimeToLive", NEW),
        ("DescribeTimeToLive", {}),
    ]
    assert new_table.differences(steps) == ""
