"""The table in the languages in which infrastructure is described: CloudFormation and Terraform."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from dynamo_bao.dynamodb.layout import TTL
from dynamo_bao.dynamodb.table_definition import table_definition

_INDENT: Final = "  "


def cloudformation(name: str, search: bool) -> str:
    """A CloudFormation template of the table, in YAML.

    Besides keys and indexes, it has time to live, backups to any second of the last 35 days, and protection from
    deletion.

    Args:
        name: the name of the table.
        search: whether the table has the search index.
    """
    import yaml  # imported here: no other command needs it without YAML models

    properties = {
        **table_definition(name, search),
        "TimeToLiveSpecification": {"AttributeName": TTL, "Enabled": True},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
        "DeletionProtectionEnabled": True,
    }
    resource = {
        "Type": "AWS::DynamoDB::Table",
        "DeletionPolicy": "Retain",
        "UpdateReplacePolicy": "Retain",
        "Properties": properties,
    }
    return yaml.safe_dump({"Resources": {"Table": resource}}, sort_keys=False, width=100)


def terraform(name: str, search: bool) -> str:
    """A Terraform resource of the table, with the same content as `cloudformation`.

    Args:
        name: the name of the table.
        search: whether the table has the search index.
    """
    definition: Any = table_definition(name, search)
    partition, sort = _keys(definition)
    table = {
        "name": name,
        "billing_mode": definition["BillingMode"],
        "hash_key": partition,
        "range_key": sort,
        "deletion_protection_enabled": True,
    }
    lines = [f'resource "aws_dynamodb_table" "{_label(name)}" {{', *_block(table)]
    for attribute in definition["AttributeDefinitions"]:
        values = {"name": attribute["AttributeName"], "type": attribute["AttributeType"]}
        lines += ["", f"{_INDENT}attribute {{", *_block(values, 2), f"{_INDENT}}}"]
    for index in definition["GlobalSecondaryIndexes"]:
        lines += ["", f"{_INDENT}global_secondary_index {{", *_block(_index(index), 2), f"{_INDENT}}}"]
    for block, values in (
        ("ttl", {"attribute_name": TTL, "enabled": True}),
        ("point_in_time_recovery", {"enabled": True}),
    ):
        lines += ["", f"{_INDENT}{block} {{", *_block(values, 2), f"{_INDENT}}}"]
    return "\n".join([*lines, "}"]) + "\n"


LANGUAGES: Final[Mapping[str, Callable[[str, bool], str]]] = {
    "cloudformation": cloudformation,
    "terraform": terraform,
}


def table_as_code(language: str, table: str, search: bool) -> str:
    """The definition of a table in one of `LANGUAGES`.

    Args:
        language: the key of the language.
        table: the name or the ARN of the table.
        search: whether the table has the search index.
    """
    return LANGUAGES[language](table.rpartition("/")[2], search)


def _index(index: Mapping[str, Any]) -> dict[str, object]:
    partition, sort = _keys(index)
    projection = index["Projection"]
    values = {
        "name": index["IndexName"],
        "hash_key": partition,
        "range_key": sort,
        "projection_type": projection["ProjectionType"],
    }
    if "NonKeyAttributes" in projection:
        values["non_key_attributes"] = projection["NonKeyAttributes"]
    return values


def _keys(keyed: Mapping[str, Any]) -> list[str]:
    return [element["AttributeName"] for element in keyed["KeySchema"]]


def _block(values: Mapping[str, object], depth: int = 1) -> Iterator[str]:
    """The lines of a block's arguments, with their signs of equality below each other."""
    width = max(map(len, values))
    for name, value in values.items():
        yield f"{_INDENT * depth}{name:{width}} = {_literal(value)}"


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_literal, value))}]"
    return f'"{value}"'


def _label(name: str) -> str:
    """The name of a resource: letters, digits and ``_``, with a letter first."""
    label = re.sub(r"\W", "_", name)
    return label if label[:1].isalpha() else f"table_{label}"
