"""What a query's key condition says where it cannot be."""

from __future__ import annotations

import re

import pytest

from dynamo_bao import Index, Model, PrimaryKey, QueryError, StringField, init_models


class Sheet(Model, prefix="ks", name="KeyConditionSheet"):
    number: str = StringField()
    shelf: str = StringField()

    primary_key = PrimaryKey("number")
    by_shelf = Index("shelf", id="gsi1")


@pytest.mark.parametrize("name", ["by_shelf", "primary_key"])
def test_an_error_names_the_index_that_was_asked(name: str) -> None:
    """Its own name, and that of the primary key where that has no other."""
    with init_models(models=[Sheet], table_name="t", embedded=True):
        with pytest.raises(QueryError, match=f"^{re.escape(name)} has no sort key field") as caught:
            getattr(Sheet, name).query("a", "b")
        assert caught.value.index == name
