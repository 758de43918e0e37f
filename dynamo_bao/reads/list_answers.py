"""Results of queries and searches as answers: lists, in JSON and to pydantic."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any, ClassVar, get_args

from dynamo_bao.fields.json_forms import JsonForm, json_form


class ListSerializer:
    """How pydantic writes a result where the type does not say what it is."""

    def __get__(self, instance: object, owner: type[object]) -> Any:
        try:
            return _list_serializer()
        except ModuleNotFoundError as error:  # hasattr() is False
            raise AttributeError(f"{owner.__name__} has no serializer without pydantic") from error


@cache
def _list_serializer() -> object:
    from pydantic_core import SchemaSerializer, core_schema

    as_list = core_schema.plain_serializer_function_ser_schema(list)
    return SchemaSerializer(core_schema.any_schema(serialization=as_list))


class ListAnswer:
    """A sequence of instances that is a list in answers: ``-> QueryResult[User]`` is what ``-> list[User]`` is."""

    __pydantic_serializer__: ClassVar[ListSerializer] = ListSerializer()

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError

    def __bao_json_form__(self) -> JsonForm:
        return list(map(json_form, self))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: Any) -> Any:
        """Makes a result a type of pydantic: validated, it is a list of its matches."""
        (member,) = get_args(source) or (Any,)
        return handler.generate_schema(list[member])  # type: ignore[valid-type]
