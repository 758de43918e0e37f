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

from graphql import (
    GraphQLError,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLResolveInfo,
    execution as graphql_execution,
    located_error,
)
from graphql.pyutils import Path

from dynamo_bao.reads.query_result import QueryResult
from dynamo_bao.reads.together import is_unloaded, load_together, present
from dynamo_bao.runtime.named_tuples import NamedTuple
from dynamo_bao.runtime.records import frozen
from dynamo_bao.session.state import Instance

HAS_EXECUTOR: Final = hasattr(graphql_execution, "Executor")
"""Whether this is graphql-core 3.3."""

if TYPE_CHECKING:
    from typing import TypeGuard

    class Executor:
        """What is used of graphql-core's class, in both versions."""

        is_awaitable: Callable[[object], TypeGuard[Awaitable[object]]]

        def __init__(self, *arguments: object, **options: object) -> None: ...
        def execute_fields(
            self,
            parent_type: GraphQLObjectType,
            source_value: object,
            path: Path | None,
            grouped_field_set: Mapping[str, object],
            *rest: object,
        ) -> object: ...

        execute_fields_serially = execute_fields

        def complete_value(self, *arguments: object) -> object: ...
        def complete_list_value(self, *arguments: Any) -> object: ...
        def complete_object_value(self, *arguments: Any) -> object: ...
        def complete_abstract_value(self, *arguments: Any) -> object: ...
        def handle_field_error(self, *arguments: object) -> None: ...

else:
    Executor = graphql_execution.Executor if HAS_EXECUTOR else graphql_execution.ExecutionContext

Response = dict[str, Any]
"""The data of a response, or of an object in it."""
Steps = Generator[Sequence[Awaitable[object]], Sequence[object], Response]
"""A computation that yields awaitables, and gets their results or exceptions."""
Complete = Callable[..., object]
"""A method of graphql-core that completes a value: its arguments are a type, nodes, info, path, value and others."""


class Position(NamedTuple):
    """A place in the response.

    Attributes:
        nodes: the fields of the query that it comes from.
        info: what their resolver got.
        path: its path.
    """

    nodes: Any  # a list of nodes in 3.2, and of the details of nodes in 3.3
    info: GraphQLResolveInfo[Any]
    path: Path


def _type_at(position: Position) -> GraphQLOutputType:
    """The type of the values at a place."""
    value_type, path = position.info.return_type, position.path
    while isinstance(path.key, int) and path.prev is not None:  # in a list, or in a list of lists
        value_type, path = _inner_type(value_type), path.prev
    return value_type


@frozen(eq=False)
class Waiting:
    """A value that waits to be loaded with its level. It stands in the response until then.

    Attributes:
        position: its place in the response.
        value: the value.
        is_read: whether completing it reads all of it. A result of a query for an object type is only handed to the
            resolvers of that type, which may need a part.
        rest: further arguments of `complete_value`.
    """

    position: Position
    value: object
    is_read: bool
    rest: tuple[object, ...]


class LevelExecutor(Executor):
    """Executes queries level by level, and the fields of a mutation one after the other, each level by level.

    It extends the methods of graphql-core that execute the fields of an object, and that complete a list or an object.
    """

    # _waiting: the values of the next level.
    # _completing: by the id of a path, the arguments with which the list or object there is completed.
    # _collector: this object while it executes; a copy of it, which graphql-core makes for @defer, lets nothing wait.

    def __init__(self, *arguments: object, **options: object) -> None:
        super().__init__(*arguments, **options)
        self._waiting: list[Waiting] = []
        self._completing: dict[int, tuple[Any, ...]] = {}
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
        execute = super().execute_fields
        if path is not None:
            return execute(parent_type, source_value, path, grouped_field_set, *rest)
        return _run(
            self._complete_levels(partial(execute, parent_type, source_value, path, grouped_field_set, *rest))
        )

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

    def complete_list_value(self, *arguments: Any) -> Any:
        """Completes a list, or lets it wait for its level."""
        return self._complete(super().complete_list_value, arguments, is_list=True)

    def complete_object_value(self, *arguments: Any) -> Any:
        """Completes an object, or lets it wait for its level. A missing item is null."""
        return self._complete(super().complete_object_value, arguments)

    def complete_abstract_value(self, *arguments: Any) -> Any:
        """Completes an object of an interface or a union, or lets it wait for its level. A missing item is null."""
        return self._complete(super().complete_abstract_value, arguments)

    def _complete(self, complete: Complete, arguments: tuple[Any, ...], is_list: bool = False) -> object:
        path, value = arguments[3], arguments[4]
        if self._collector is not self:
            return None if present(value) is None else complete(*arguments)
        if id(path) in self._completing:  # it has waited
            return complete(*arguments)
        self._completing[id(path)] = arguments
        if isinstance(value, (Instance, QueryResult)):
            if is_unloaded(value):
                is_read = is_list or isinstance(value, Instance)
                waiting = Waiting(_position_of(arguments), value, is_read, arguments[5:])
                self._waiting.append(waiting)
                return waiting
            if present(value) is None:
                return None
        return complete(*arguments)

    # --- levels ----------------------------------------------------------------------------------

    def _complete_one_by_one(self, executes: Sequence[Callable[[], object]]) -> Steps:
        data: Response = {}
        for execute in executes:
            data.update((yield from self._complete_levels(execute)))
        return data

    def _complete_levels(self, execute: Callable[[], object]) -> Steps:
        """Executes fields of the root, then completes one level after the other."""
        self._collector = self
        try:
            data = execute()
            if self.is_awaitable(data):
                (data,) = yield [data]
                if isinstance(data, BaseException):
                    raise data
            assert isinstance(data, dict)
            response: Response = data
            while self._waiting:
                level, self._waiting = self._waiting, []
                yield from self._complete_level(response, level)
            return response
        finally:
            self._collector, self._waiting, self._completing = None, [], {}

    def _complete_level(self, data: Response, level: Sequence[Waiting]) -> Steps:
        """Loads the values of a level, and puts the completed values into the response."""
        level = [waiting for waiting in level if _place(data, waiting) is not None]
        values = iter(load_together([waiting.value for waiting in level if waiting.is_read]))
        awaiting: list[tuple[Waiting, Awaitable[object]]] = []
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

    def _completed(self, waiting: Waiting, value: object) -> object:
        position = waiting.position
        return super().complete_value(
            _type_at(position), position.nodes, position.info, position.path, value, *waiting.rest
        )

    def _put_outcomes(self, data: Response, level: Sequence[Waiting], outcomes: Sequence[object]) -> None:
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
            position = _position_of(self._completing[id(parent)])

    def _add_error(self, error: Exception, position: Position) -> None:
        """Adds an error to the response, or raises it with its path if the position cannot be null."""
        if HAS_EXECUTOR:
            self.handle_field_error(error, _type_at(position), position.nodes, position.path)
        else:
            located = located_error(error, position.nodes, position.path.as_list())
            self.handle_field_error(located, _type_at(position), position.path)


def _position_of(arguments: Sequence[Any]) -> Position:
    """The position for which a method to complete a value was called."""
    _, nodes, info, path, *_ = arguments
    return Position(nodes, info, path)


def _inner_type(value_type: GraphQLOutputType) -> GraphQLOutputType:
    """The type of the members of a list type."""
    list_type = value_type.of_type if isinstance(value_type, GraphQLNonNull) else value_type
    assert isinstance(list_type, GraphQLList)
    member_type: GraphQLOutputType = list_type.of_type
    return member_type


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


def _run(steps: Steps) -> object:
    """Runs a computation; if it yields awaitables, the result is an awaitable too."""
    try:
        awaitables = next(steps)
    except StopIteration as end:
        return end.value
    return _run_further(steps, awaitables)


async def _run_further(steps: Steps, awaitables: Sequence[Awaitable[object]]) -> Response:
    while True:
        outcomes: Sequence[object]
        if len(awaitables) == 1:  # a task of its own would not see the session
            outcomes = [await _outcome(awaitables[0])]
        else:
            outcomes = await gather(*awaitables, return_exceptions=True)
        try:
            awaitables = steps.send(outcomes)
        except StopIteration as end:
            data: Response = end.value
            return data


async def _outcome(awaitable: Awaitable[object]) -> object:
    try:
        return await awaitable
    except Exception as error:
        return error
