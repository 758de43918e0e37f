"""GraphQL with Graphene in one round for each level of a query; needs the extra ``dynamo_bao[graphene]``.

The class also serves other programs on graphql-core.

Example:
    >>> from dynamo_bao.graphene import BatchingExecutionContext
    >>> schema.execute(query, execution_context_class=BatchingExecutionContext)
"""

from __future__ import annotations

from dynamo_bao.web.graphql_levels import LevelExecutor

__all__ = ["BatchingExecutionContext"]


class BatchingExecutionContext(LevelExecutor):
    """Loads what the plain resolvers of one level return together: ``return parent.author``, ``return parent.posts``.

    A query costs one round for each of its levels, across lists, aliases and fragments. It runs in the session of its
    caller; outside any batch context the policy decides, as for other code. Fields of a mutation run one after the
    other, each with its whole selection.

    An instance whose item is not stored is null. Errors have the paths that they have without this class. What an
    asynchronous resolver returns is awaited first, and completed then.

    Example:
        >>> schema = graphene.Schema(query=Query)
        >>> with run_with_batch_context():
        ...     result = schema.execute(query, execution_context_class=BatchingExecutionContext)
    """
