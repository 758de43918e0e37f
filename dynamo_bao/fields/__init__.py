"""The field classes. Each has its rules, its stored form and its key text."""

from dynamo_bao.fields.base import Field
from dynamo_bao.fields.calendar import DateField, DurationField, TimeField
from dynamo_bao.fields.containers import ListField, MapField
from dynamo_bao.fields.datetimes import CreateDateField, DateTimeField, ModifiedDateField, TtlField
from dynamo_bao.fields.documents import JsonField
from dynamo_bao.fields.nested import NestedField
from dynamo_bao.fields.numeric import CounterField, DecimalField, FloatField, IntegerField
from dynamo_bao.fields.relation import RelatedField
from dynamo_bao.fields.scalars import BinaryField, BooleanField, EnumField
from dynamo_bao.fields.sets import BinarySetField, NumberSetField, SetField, StringSetField
from dynamo_bao.fields.text import StringField, UlidField, UuidField, VersionField

__all__ = [
    "BinaryField",
    "BinarySetField",
    "BooleanField",
    "CounterField",
    "CreateDateField",
    "DateField",
    "DateTimeField",
    "DecimalField",
    "DurationField",
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
    "SetField",
    "StringField",
    "StringSetField",
    "TimeField",
    "TtlField",
    "UlidField",
    "UuidField",
    "VersionField",
]
