"""Statements whose SQL is worked out once in a process.

Django builds the SQL of a queryset anew each time, which takes several times as long as the database needs
for its answer. What every request asks is prepared here; it stays an ordinary queryset to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Generic, TypeAlias, TypeVar

from django.db import connections, router
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import Field, Model, QuerySet

M = TypeVar("M", bound=Model)
AnyField: TypeAlias = "Field[Any, Any]"

_FIRST_MARK = -2_000_000_000
"""Stands for the first argument while SQL is made: an integer that no query holds otherwise."""


def cursor(connection: BaseDatabaseWrapper) -> CursorWrapper:
    """Django's cursor; what it executes, PostgreSQL plans once for each connection and not each time."""
    if connection.vendor != "postgresql":
        return connection.cursor()
    connection.ensure_connection()
    with connection.wrap_database_errors:
        raw = _planning()(connection.connection)
    return connection.make_debug_cursor(raw) if connection.queries_logged else connection.make_cursor(raw)


@cache
def _planning() -> type[Any]:
    from django.db.backends.postgresql.base import ServerBindingCursor  # type: ignore[attr-defined]

    class Planning(ServerBindingCursor):  # type: ignore[misc]  # unknown to the stubs
        def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Any:
            return super().execute(query, params, prepare=True, **kwargs)

    return Planning


def insert(rows: Sequence[Model]) -> None:
    """Write new rows of one model, in one statement. No signals are sent, and none of them may leave its
    key to the database. Raises DatabaseError."""
    model = type(rows[0])
    connection = connections[router.db_for_write(model)]
    fields = model._meta.concrete_fields
    values = [
        field.get_db_prep_save(field.pre_save(row, True), connection) for row in rows for field in fields
    ]
    with cursor(connection) as statement:
        statement.execute(_insert(model, connection.vendor, len(rows)), values)
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias


def update(row: Model, values: Mapping[str, Any], *, where_null: str) -> bool:
    """Set these fields of a row, and in the database those of its row, if there the field `where_null` is
    NULL still. Returns whether it was. No signals are sent. Raises DatabaseError."""
    model = type(row)
    connection = connections[router.db_for_write(model)]
    for name, value in values.items():
        setattr(row, name, value)
    fields = [*(_field(model, name) for name in values), _key(model)]
    prepared = [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
    with cursor(connection) as statement:
        statement.execute(_update(model, connection.vendor, tuple(values), where_null), prepared)
        return bool(statement.rowcount)


@lru_cache(maxsize=100)
def _insert(model: type[Model], vendor: str, rows: int) -> str:
    fields = model._meta.concrete_fields
    names = ", ".join(_column(model, field) for field in fields)
    places = f"({', '.join(['%s'] * len(fields))})"
    return " ".join(("INSERT INTO", _table(model), f"({names})", "VALUES", ", ".join([places] * rows)))


@lru_cache(maxsize=100)
def _update(model: type[Model], vendor: str, names: Sequence[str], where_null: str) -> str:
    places = ", ".join(f"{_column(model, _field(model, name))} = %s" for name in names)
    key, empty = _column(model, _key(model)), _column(model, _field(model, where_null))
    return " ".join(("UPDATE", _table(model), "SET", places, "WHERE", key, "= %s AND", empty, "IS NULL"))


def _field(model: type[Model], name: str) -> AnyField:
    field = model._meta.get_field(name)
    assert isinstance(field, Field), f"{name} has a column"  # noqa: S101
    return field


def _key(model: type[Model]) -> AnyField:
    key = model._meta.pk
    assert key is not None, "every model has a key"  # noqa: S101
    return key


def _column(model: type[Model], field: AnyField) -> str:
    return connections[router.db_for_write(model)].ops.quote_name(field.column)


def _table(model: type[Model]) -> str:
    return connections[router.db_for_write(model)].ops.quote_name(model._meta.db_table)


@dataclass(frozen=True)
class _Statement:
    """SQL with its parameters, and how a row becomes an object.

    Attributes:
        parameters: values, and `_Argument`s in the place of what is asked for.
        names: attributes of the model, in the order of the first columns.
        annotations: attribute -> column.
        converters: column -> what Django does to its values, and the expression it does it for.
    """

    sql: str
    parameters: Sequence[Any]
    names: Sequence[str]
    annotations: dict[str, int]
    converters: dict[int, tuple[list[Callable[..., Any]], Any]]


@dataclass(frozen=True)
class _Argument:
    position: int


class Prepared(Generic[M]):
    """A queryset as a function of integers: `Prepared(lambda pk: User.objects.filter(pk=pk))`.

    `build` is called once for each kind of database, with integers that stand for the arguments. What it
    returns may filter by them and annotate, but follow no relation (`select_related`).
    """

    def __init__(self, build: Callable[..., QuerySet[M]]) -> None:
        self._build = build
        self._statements: dict[str, _Statement] = {}
        self._model: type[M] | None = None

    def __call__(self, *arguments: int) -> list[M]:
        """The objects that these arguments find. One query."""
        if self._model is None:
            self._model = self._build(*_marks(self._build)).model
        connection = connections[router.db_for_read(self._model)]
        statement = self._statements.get(connection.vendor)
        if statement is None:
            statement = self._statements[connection.vendor] = self._work_out(connection)
        with cursor(connection) as asked:
            asked.execute(statement.sql, [_value(part, arguments) for part in statement.parameters])
            rows = asked.fetchall()
        return [_object(self._model, statement, row, connection) for row in rows]

    def _work_out(self, connection: BaseDatabaseWrapper) -> _Statement:
        query = self._build(*_marks(self._build)).query
        compiler = query.get_compiler(connection=connection)
        sql, parameters = compiler.as_sql()
        columns = [column for column, *_ in compiler.select]
        fields = compiler.klass_info["select_fields"]
        return _Statement(
            sql,
            [_Argument(part - _FIRST_MARK) if _is_mark(part) else part for part in parameters],
            [columns[k].target.attname for k in fields],
            compiler.annotation_col_map,
            compiler.get_converters(columns),
        )


def _marks(build: Callable[..., Any]) -> Iterator[int]:
    return (_FIRST_MARK + k for k in range(build.__code__.co_argcount))


def _is_mark(part: object) -> bool:
    return isinstance(part, int) and _FIRST_MARK <= part < _FIRST_MARK + 10


def _value(part: Any, arguments: Sequence[int]) -> Any:
    return arguments[part.position] if isinstance(part, _Argument) else part


def _object(model: type[M], statement: _Statement, row: Sequence[Any], connection: BaseDatabaseWrapper) -> M:
    values = list(row)
    for column, (converters, expression) in statement.converters.items():
        for convert in converters:
            values[column] = convert(values[column], expression, connection)
    found = model.from_db(connection.alias, statement.names, values[: len(statement.names)])
    for name, column in statement.annotations.items():
        setattr(found, name, values[column])
    return found
