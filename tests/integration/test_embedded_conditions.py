"""The embedded engine compares as DynamoDB does: by type first, and never with an error."""

from __future__ import annotations

from typing import Any

import boto3
import pytest

from dynamo_bao import Manager, MapField, Model, PrimaryKey, StringField, init_models
from tests.support.engines import Engines
from tests.support.plugin import ready_or_refused

VALUES: tuple[Any, ...] = (
    5,
    "x",
    "5",
    True,
    None,
    b"x",
    1.5,
    [1, "x"],
    {"b": 1},
    {"x", "y"},
    {1, 5},
    "",
    "é",
)
OPERANDS: tuple[Any, ...] = (1, 5, "x", True, b"x", "")
FILTERS: tuple[Any, ...] = (
    *({operator: value} for operator in ("$eq", "$ne") for value in OPERANDS),
    *(
        {operator: value}
        for operator in ("$gt", "$gte", "$lt", "$lte")
        for value in OPERANDS
        if value is not True
    ),
    *({"$between": list(pair)} for pair in ((1, 1), (1, 5), (5, 5), ("a", "a"), ("a", "x"), ("x", "x"))),
    *({"$size": size} for size in (1, 2, {"$gt": 0}, {"$lt": 9})),
    *({"$contains": value} for value in OPERANDS),
    *({"$in": [value, 77]} for value in OPERANDS),
    *({"$begins_with": value} for value in ("x", "5")),
    *({"$not": {"$gt": value}} for value in OPERANDS if value is not True),
    *({"$exists": value} for value in (True, False)),
    *({"$type": code} for code in ("S", "N", "M")),
)


class Thing(Model, prefix="th"):
    kind: str = StringField()
    number: str = StringField()
    m: dict[str, Any] | None = MapField(default=None)

    primary_key = PrimaryKey("kind", "number")
    things = primary_key


def _answers() -> list[Any]:
    for number, value in enumerate(VALUES):
        Thing.create(kind="k", number=f"{number:02}", m={"a": value})
    Thing.create(kind="k", number="99")
    answers = []
    for filter in FILTERS:
        try:
            answers.append([one.number for one in Thing.things.query("k", filter={"m.a": filter})])
        except Exception as error:
            answers.append(type(error).__name__)
    return answers


def test_filters_over_every_type_answer_as_another_engine_does(
    engines: Engines, monkeypatch: pytest.MonkeyPatch, table_name: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "dummy")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "dummy")
    with init_models(models=[Thing], embedded=True):
        embedded = _answers()
    endpoint = ready_or_refused(engines, "dynoxide").endpoint_url
    with init_models(
        models=[Thing], table_name=table_name, endpoint_url=endpoint, region="us-east-1"
    ) as manager:
        manager.create_table()
        expected = _answers()
    different = [(f, a, b) for f, a, b in zip(FILTERS, embedded, expected, strict=True) if a != b]
    assert different == []


@pytest.mark.parametrize("filter", [{"$gt": 1}, {"$between": [1, 9]}, {"$size": {"$gt": 1}}], ids=str)
def test_conditions_of_writes_too(embedded: Manager, filter: Any) -> None:
    with init_models(models=[Thing], embedded=True):
        Thing.create(kind="k", number="1", m={"a": "x"})
        with pytest.raises(Exception, match="ondition"):
            Thing.update(("k", "1"), condition={"m.a": filter}, m={"a": "y"})


def test_moto_stays_as_it_is_for_others(embedded: Manager) -> None:
    from moto import mock_aws

    with mock_aws():
        client = boto3.client(
            "dynamodb", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        client.create_table(
            TableName="t",
            KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        client.put_item(TableName="t", Item={"k": {"S": "1"}, "a": {"S": "x"}})
        with pytest.raises(TypeError):
            client.scan(
                TableName="t", FilterExpression="a > :v", ExpressionAttributeValues={":v": {"N": "1"}}
            )
