"""Execution of GraphQL level by level: the lazy values of one level of a query are loaded together.

graphql-core completes a value as soon as its resolver has returned it, so a lazy instance would be loaded alone. Here
such a value first stands in the response as a `Waiting`. When all resolvers of the level have run, the values are
loaded in one round and completed, which runs the resolvers of the next level.

graphql-core 3.3 calls the base class `Executor`, and 3.2 calls it `ExecutionContext`. Their methods have the same
names; some have a further argument in 3.3, which is passed on as it is.
"""

from __future__ import annotations

from asyncio import gather
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from graphql import (
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    execution as graphql_execution,
    located_error,
)
from graphql.pyutils import Path

from dynamo_bao.reads.query_result import QueryResult
from dynamo_bao.reads.together import is_unloaded, load_together, present
from dynamo_bao.session.state import Instance

HAS_EXECUTOR: Final = hasattr(graphql_execution, "Executor")
"""Whether this is graphql-core 3.3."""

if TYPE_CHECKING:
    from typing import TypeGuard

    class Executor:
        """What is used of graphql-core's class, in both versions."""

        is_awaitable: Callable[[Any], TypeGuard[Awaitable[Any]]]

        def __init__(self, *arguments: Any, **options: Any) -> None: ...
        def execute_fields(self, *arguments: Any, **options: Any) -> Any: ...
        def execute_fields_serially(self, *arguments: Any, **options: Any) -> Any: ...
        def complete_value(self, *arguments: Any, **options: Any) -> Any: ...
        def handle_field_error(self, *arguments: Any, **options: Any) -> None: ...

else:
    Executor = graphql_execution.Executor if HAS_EXECUTOR else graphql_execution.ExecutionContext

Response = dict[str, Any]
"""The data of a response, or of an object in it."""
Steps = Generator[Sequence[Awaitable[Any]], Sequence[Any], Response]
"""A computation that yields awaitables, and gets their results or exceptions."""
PLAIN_TYPES: Final = frozenset({type(None), bool, int, float, str})
"""The types of values that are never lazy and have no parts, for speed."""


@frozen(eq=False)
class Position:
    """A place in the response.

    Attributes:
        type: the type of its value.
        nodes: the fields of the query that it comes from.
        path: its path.
    """

    type: GraphQLOutputType
    nodes: Any
    path: Path


@frozen(eq=False)
class Waiting:
    """A value that waits to be loaded with its level. It stands in the response until then.

    Attributes:
        position: its place in the response.
        value: the value.
        info: what its resolver got.
        rest: further arguments of `complete_value`.
    """

    position: Position
    value: object
    info: object
    rest: tuple[Any, ...]

    @property
    def is_read(self) -> bool:
        """Whether completing the value reads all of it.

        A result of a query for an object type is only handed to the resolvers of that type, which may need a part.
        """
        value_type = self.position.type
        if isinstance(value_type, GraphQLNonNull):
            value_type = value_type.of_type
        return isinstance(value_type, GraphQLList) or not isinstance(self.value, QueryResult)


class LevelExecutor(Executor):
    """Executes queries level by level, and the fields of a mutation one after the other, each level by level."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._waiting: list[Waiting] = []
        self._positions: dict[int, Position] = {}
        self._collector: LevelExecutor | None = None

    # --- what graphql-core calls -----------------------------------------------------------------

    def execute_fields(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: Mapping[str, Any],
        *rest: Any,
    ) -> Any:
        """Executes fields of an object. For the fields of the root it completes the whole response."""
        execute = partial(super().execute_fields, parent_type, source_value, path, grouped_field_set, *rest)
        return execute() if path is not None else _run(self._complete_levels(execute))

    def execute_fields_serially(
        self,
        parent_type: GraphQLObjectType,
        source_value: Any,
        path: Path | None,
        grouped_field_set: Mapping[str, Any],
        *rest: Any,
    ) -> Any:
        """Executes fields of a mutation. Each is complete before the next one starts."""
        execute = partial(super().execute_fields_serially, parent_type, source_value, path)
        return _run(
            self._complete_one_by_one(
                [partial(execute, {name: nodes}, *rest) for name, nodes in grouped_field_set.items()]
            )
        )

    def complete_value(
        self,
        return_type: GraphQLOutputType,
        field_details_list: Any,
        info: object,
        path: Path,
        result: Any,
        *rest: Any,
    ) -> Any:
        """Completes a value, or lets it wait for its level. A missing item is null."""
        if type(result) in PLAIN_TYPES:
            return super().complete_value(return_type, field_details_list, info, path, result, *rest)
        if (
            self._collector is not self
        ):  # a copy that completes a part of the response on its own, as for @defer
            return super().complete_value(return_type, field_details_list, info, path, present(result), *rest)
        if id(path) not in self._positions:  # else the inner call for a type that cannot be null
            position = self._positions[id(path)] = Position(return_type, field_details_list, path)
            if is_unloaded(result):
                waiting = Waiting(position, result, info, rest)
                self._waiting.append(waiting)
                return waiting
            if isinstance(result, Instance):
                result = present(result)
        return super().complete_value(return_type, field_details_list, info, path, result, *rest)

    # --- levels ----------------------------------------------------------------------------------

    def _complete_one_by_one(self, executes: Sequence[Callable[[], Any]]) -> Steps:
        data: Response = {}
        for execute in executes:
            data.update((yield from self._complete_levels(execute)))
        return data

    def _complete_levels(self, execute: Callable[[], Any]) -> Steps:
        """Executes fields of the root, then completes one level after the other."""
        self._collector = self
        try:
            data = execute()
            if self.is_awaitable(data):
                (data,) = yield [data]
                if isinstance(data, BaseException):
                    raise data
            response: Response = data
            while self._waiting:
                level, self._waiting = self._waiting, []
                yield from self._complete_level(response, level)
            return response
        finally:
            self._collector, self._waiting, self._positions = None, [], {}

    def _complete_level(self, data: Response, level: Sequence[Waiting]) -> Steps:
        """Loads the values of a level, and puts the completed values into the response."""
        level = [waiting for waiting in level if _place(data, waiting) is not None]
        values = iter(load_together([waiting.value for waiting in level if waiting.is_read]))
        awaiting: list[tuple[Waiting, Awaitable[Any]]] = []
        for waiting in level:
            value = next(values) if waiting.is_read else waiting.value
            place = _place(data, waiting)
            if place is None:  # an error of this level has made the object around it null
                continue
            container, key = place
            try:
                container[key] = self._completed(waiting, value)
            except Exception as error:
                self._nullify(data, waiting.position, error)
            else:
                if self.is_awaitable(container[key]):
                    awaiting.append((waiting, container[key]))
                    container[key] = waiting
        if awaiting:
            outcomes = yield [awaitable for _, awaitable in awaiting]
            self._put_outcomes(data, [waiting for waiting, _ in awaiting], outcomes)
        return data

    def _completed(self, waiting: Waiting, value: object) -> Any:
        position = waiting.position
        return super().complete_value(
            position.type, position.nodes, waiting.info, position.path, value, *waiting.rest
        )

    def _put_outcomes(self, data: Response, level: Sequence[Waiting], outcomes: Sequence[Any]) -> None:
        """Puts values into the response that resolvers of asynchronous fields have completed."""
        for waiting, outcome in zip(level, outcomes, strict=True):
            place = _place(data, waiting)
            if place is not None and isinstance(outcome, Exception):
                self._nullify(data, waiting.position, outcome)
            elif place is not None:
                container, key = place
                container[key] = outcome

    # --- errors ----------------------------------------------------------------------------------

    def _nullify(self, data: Response, position: Position, error: Exception) -> None:
        """Makes the nearest position null that may be null, and adds the error to the response.

        Raises:
            GraphQLError: if no position up to the root may be null.
        """
        while True:
            try:
                self._add_error(error, position)
            except GraphQLError as located:
                error, parent = located, position.path.prev
            else:
                *keys, key = position.path.as_list()
                container = _container(data, keys)
                if container is not None:
                    container[key] = None
                return
            if parent is None:
                raise error
            position = self._positions[id(parent)]

    def _add_error(self, error: Exception, position: Position) -> None:
        """Adds an error to the response, or raises it with its path if the position cannot be null."""
        if HAS_EXECUTOR:
            self.handle_field_error(error, position.type, position.nodes, position.path)
        else:
            located = located_error(error, position.nodes, position.path.as_list())
            self.handle_field_error(located, position.type, position.path)


def _place(data: Response, waiting: Waiting) -> tuple[Any, str | int] | None:
    """The object or list in which a value waits, and its key; None if the value is no longer there."""
    *keys, key = waiting.position.path.as_list()
    container = _container(data, keys)
    return None if container is None or container[key] is not waiting else (container, key)


def _container(data: Response, keys: Sequence[str | int]) -> Any:
    """The object or list at a path; None if a part of the path is null."""
    container: Any = data
    for key in keys:
        if container is None:
            return None
        container = container[key]
    return container


# --- asynchronous resolvers -----------------------------------------------------------------------


def _run(steps: Steps) -> Any:
    """Runs a computation; if it yields awaitables, the result is an awaitable too."""
    try:
        awaitables = next(steps)
    except StopIteration as end:
        return end.value
    return _run_further(steps, awaitables)


async def _run_further(steps: Steps, awaitables: Sequence[Awaitable[Any]]) -> Response:
    while True:
        outcomes: Sequence[Any]
        if len(awaitables) == 1:  # a task of its own would not see the session
            outcomes = [await _outcome(awaitables[0])]
        else:
            outcomes = await gather(*awaitables, return_exceptions=True)
        try:
            awaitables = steps.send(outcomes)
        except StopIteration as end:
            data: Response = end.value
            return data


async def _outcome(awaitable: Awaitable[Any]) -> Any:
    try:
        return await awaitable
    except Exception as error:
        return error
