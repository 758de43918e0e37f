"""What type checkers are told about fields.

Fields listed here are required in a constructor unless they are given a default. Those that fill
themselves (ids, dates, versions, counters, sets) are not listed: to a checker they have a default.
"""

from __future__ import annotations

from dynamo_bao.fields.documents import JsonField, ListField, MapField, NestedField
from dynamo_bao.fields.moments import DateTimeField
from dynamo_bao.fields.numeric import BooleanField, DecimalField, FloatField, IntegerField
from dynamo_bao.fields.text import BinaryField, EnumField, RelatedField, StringField

REQUIRED_UNLESS_DEFAULTED = (
    StringField,
    IntegerField,
    FloatField,
    DecimalField,
    BooleanField,
    BinaryField,
    DateTimeField,
    EnumField,
    MapField,
    ListField,
    JsonField,
    NestedField,
    RelatedField,
)
