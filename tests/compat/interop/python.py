"""The Python side: the same commands, carried out by dynamo_bao."""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import datetime
from typing import Any

from dynamo_bao import BaoError, Manager, TenantContext, init_models, run_with_batch_context
from dynamo_bao.fields import datetimes
from dynamo_bao.models.class_builder import schema_of
from tests.compat.interop.sides import Found, Refused, Side, Values

GOING = datetimes.utc_now


def snake_case(name: str) -> str:
    """``membersForTeam`` as Python has it; operators such as ``$beginsWith`` stay."""
    return name if name.startswith("$") else re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def renamed(given: Any) -> Any:
    """A condition with the field names of Python."""
    if isinstance(given, dict):
        return {snake_case(name): renamed(value) for name, value in given.items()}
    return [renamed(one) for one in given] if isinstance(given, list) else given


class Python(Side):
    """dynamo_bao with the given models; each command outside any batch context, if not said otherwise."""

    name = "Python"

    def __init__(self, models: Iterable[type[Any]], **connection: Any) -> None:
        self._models = list(models)
        self._connection = connection
        self.manager: Manager | None = None

    def open(self, table: str) -> None:
        self.close()
        self.manager = init_models(models=self._models, table_name=table, **self._connection)

    def close(self) -> None:
        """Gives the connection back, and lets the clock go on."""
        self.stop_clock(None)
        if self.manager is not None:
            self.manager.close()

    def stop_clock(self, now: datetime | None) -> None:
        datetimes.utc_now = GOING if now is None else lambda: now

    def ask(self, do: str, **arguments: Any) -> Any:
        tenant = arguments.pop("tenant", None)
        try:
            with TenantContext.run_with_tenant(tenant) if tenant else nullcontext():
                return getattr(self, f"_{do}")(**arguments)
        except BaoError as error:
            raise Refused(type(error).__name__, str(error)) from error

    # --- values -------------------------------------------------------------------------------------

    def _model(self, name: str) -> Any:
        assert self.manager is not None
        return self.manager.get_model(name)

    def _fields(self, model: str, values: Values) -> Values:
        """The values by Python's names."""
        schema = schema_of(self._model(model))
        return {schema.attributes[name]: value for name, value in values.items()}

    def _shown(self, instance: Any) -> Found | None:
        if not instance:
            return None
        schema = schema_of(type(instance))
        values = {attribute: getattr(instance, name) for attribute, name in schema.attributes.items()}
        return Found(
            instance.primary_id, {name: value for name, value in values.items() if value is not None}
        )

    def _all(self, instances: Any) -> list[Found | None]:
        return [self._shown(instance) for instance in instances]

    # --- commands -----------------------------------------------------------------------------------

    def _create(self, model: str, values: Values) -> Found | None:
        return self._shown(self._model(model).create(**self._fields(model, values)))

    def _find(self, model: str, id: str) -> Found | None:
        return self._shown(self._model(model).find(id))

    def _find_all(self, model: str, ids: list[str]) -> list[Found | None]:
        with run_with_batch_context():
            return self._all([self._model(model).find(id) for id in ids])

    def _update(self, model: str, id: str, values: Values, condition: Values | None = None) -> Found | None:
        fields = self._fields(model, values)
        return self._shown(self._model(model).update(id, condition=renamed(condition), **fields))

    def _increment(self, model: str, id: str, amounts: Values) -> Found | None:
        fields = self._fields(model, amounts)
        return self._shown(self._model(model).increment(id, **fields))

    def _save(self, model: str, id: str, values: Values, reindex: bool = False) -> Found | None:
        instance = self._model(model).find(id)
        for name, value in self._fields(model, values).items():
            setattr(instance, name, value)
        return self._shown(instance.save(force_reindex=reindex))

    def _members(self, model: str, id: str, field: str, add: list[str], remove: list[str]) -> Found | None:
        instance = self._model(model).find(id)
        members = getattr(instance, snake_case(field))
        members.difference_update(remove)
        members.update(add)
        return self._shown(instance.save())

    def _delete(self, model: str, id: str, condition: Values | None = None) -> None:
        self._model(model).delete(id, renamed(condition))

    def _query(self, model: str, index: str, value: Any, sort: Values | None, options: Values) -> Any:
        options = {snake_case(name): renamed(one) for name, one in options.items()}
        answer = self._model(model).query_by_index(snake_case(index), value, renamed(sort), **options)
        return answer.count if options.get("count_only") else self._all(answer)

    def _pages(self, model: str, index: str, value: Any, limit: int) -> list[list[Found | None]]:
        pages, start_key = [], None
        while True:
            page = self._model(model).query_by_index(
                snake_case(index), value, limit=limit, start_key=start_key
            )
            pages.append(self._all(page))
            start_key = page.last_evaluated_key
            if start_key is None:
                return pages

    def _unique(self, model: str, name: str, value: Any) -> Found | None:
        return self._shown(self._model(model).find_by_unique_constraint(snake_case(name), value))

    def _iterate(self, model: str, bucket: int | None) -> list[Found | None]:
        kind = self._model(model)
        batches = kind.iterate_all(batch_size=3) if bucket is None else kind.iterate_bucket(bucket)
        return [self._shown(instance) for batch in batches for instance in batch]

    def _call(self, model: str, id: str, method: str, values: list[Any]) -> Any:
        answer = getattr(self._model(model).find(id), snake_case(method))(*values)
        return self._all(answer)

    def _related(self, model: str, id: str, field: str) -> Found | None:
        return self._shown(self._model(model).find(id).get_or_load_related_field(snake_case(field)))

    def _many(self, commands: list[Values], width: int) -> list[Any]:
        with ThreadPoolExecutor(width) as pool:
            return list(pool.map(self._outcome, commands))

    def _outcome(self, command: Values) -> Any:
        try:
            return self.ask(**command)
        except Refused as refused:
            return refused
