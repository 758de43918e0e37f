"""What models need of queries and relations. They load it at the first query, as many programs read only by key."""

from __future__ import annotations

from dynamo_bao.dynamodb.expressions.parser import where
from dynamo_bao.reads.eager_loading import EagerLoad, load_relations
from dynamo_bao.reads.query import (
    Query,
    QueryOptions,
    relation_paths,
    relations_of,
    require_relations,
)
from dynamo_bao.reads.query_result import QueryResult, result_of

__all__ = [
    "EagerLoad",
    "Query",
    "QueryOptions",
    "QueryResult",
    "load_relations",
    "relation_paths",
    "relations_of",
    "require_relations",
    "result_of",
    "where",
]
