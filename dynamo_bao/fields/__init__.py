"""The kinds of fields: one class each, with its rules, its stored form and its key text."""

from dynamo_bao.fields.base import Field
from dynamo_bao.fields.documents import (
    JsonField,
    ListField,
    MapField,
    NestedField,
    NumberSetField,
    StringSetField,
)
from dynamo_bao.fields.moments import CreateDateField, DateTimeField, ModifiedDateField, TtlField
from dynamo_bao.fields.numeric import BooleanField, CounterField, DecimalField, FloatField, IntegerField
from dynamo_bao.fields.text import (
    BinaryField,
    EnumField,
    RelatedField,
    StringField,
    UlidField,
    UuidField,
    VersionField,
)

__all__ = [
    "BinaryField",
    "BooleanField",
    "CounterField",
    "CreateDateField",
    "DateTimeField",
    "DecimalField",
    "EnumField",
    "Field",
    "FloatField",
    "IntegerField",
    "JsonField",
    "ListField",
    "MapField",
    "ModifiedDateField",
    "NestedField",
    "NumberSetField",
    "RelatedField",
    "StringField",
    "StringSetField",
    "TtlField",
    "UlidField",
    "UuidField",
    "VersionField",
]
