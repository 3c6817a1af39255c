"""Statements whose SQL is worked out once in a process.

Django builds the SQL of a queryset anew each time, which takes several times as long as the database needs
for its answer. What every request asks is prepared here; it stays an ordinary queryset to read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from types import NoneType
from typing import Any, Generic, TypeAlias, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.sqlite3.base import SQLiteCursorWrapper
from django.db.backends.utils import CursorWrapper
from django.db.models import (
    BooleanField,
    CharField,
    Field,
    ForeignKey,
    IntegerField,
    Model,
    QuerySet,
    TextField,
)

M = TypeVar("M", bound=Model)
AnyField: TypeAlias = "Field[Any, Any]"

_FIRST_MARK = -2_000_000_000
"""Stands for the first argument while SQL is made: an integer that no query holds otherwise."""


def cursor(connection: BaseDatabaseWrapper) -> CursorWrapper:
    """Django's cursor; what it executes, PostgreSQL plans once for each connection and not each time, and for
    SQLite its placeholders are changed once."""
    connection.ensure_connection()
    kind: Any = _planning() if connection.vendor == "postgresql" else _Converting
    with connection.wrap_database_errors:
        raw = kind(connection.connection)
    return connection.make_debug_cursor(raw) if connection.queries_logged else connection.make_cursor(raw)


_converted: dict[str, str] = {}


class _Converting(SQLiteCursorWrapper):
    """For what is prepared, of which there is so much and no more."""

    def convert_query(self, query: str, *, param_names: Any = None) -> str:
        if query not in _converted:
            _converted[query] = super().convert_query(query, param_names=param_names)  # type: ignore[misc]
        return _converted[query]


@cache
def _planning() -> type[Any]:
    from django.db.backends.postgresql.base import ServerBindingCursor  # type: ignore[attr-defined]
    from psycopg.errors import FeatureNotSupported
    from psycopg.pq import TransactionStatus

    class Planning(ServerBindingCursor):  # type: ignore[misc]  # unknown to the stubs
        def execute(self, query: Any, params: Any = None, **kwargs: Any) -> Any:
            try:
                return super().execute(query, params, prepare=True, **kwargs)
            except FeatureNotSupported:
                # A migration has changed a column since. What a transaction has begun is rolled back, and
                # psycopg then forgets all plans by itself.
                if self.connection.info.transaction_status != TransactionStatus.IDLE:
                    raise
                self.connection.execute("DEALLOCATE ALL")
                return super().execute(query, params, prepare=True, **kwargs)

    return Planning


def insert(rows: Sequence[Model]) -> None:
    """Write new rows of one model, in one statement. No signals are sent, and none of them may leave its
    key to the database. Raises DatabaseError."""
    connection = connections[DEFAULT_DB_ALIAS]
    write = _insert(type(rows[0]), connection.vendor, len(rows))
    values = [value for row in rows for value in write.values(row, connection, new=True)]
    with cursor(connection) as statement:
        statement.execute(write.sql, values)
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias


def update(row: Model, values: Mapping[str, Any], *, where_null: str) -> bool:
    """Set these fields of a row, and in the database those of its row, if there the field `where_null` is
    NULL still. Returns whether it was. No signals are sent. Raises DatabaseError."""
    connection = connections[DEFAULT_DB_ALIAS]
    for name, value in values.items():
        setattr(row, name, value)
    write = _update(type(row), connection.vendor, tuple(values), where_null)
    with cursor(connection) as statement:
        statement.execute(write.sql, write.values(row, connection, new=False))
        return bool(statement.rowcount)


class _Column:
    """Where a value comes from, and which are the database's already.

    Attributes:
        name: the row's attribute; None where the field has something to do before it is saved.
        plain: types of values that the field would hand on as they are.
    """

    def __init__(self, field: AnyField, vendor: str) -> None:
        self.field = field
        self.name = field.attname if type(field).pre_save is Field.pre_save else None
        self.plain = (NoneType, *_handed_on(field, vendor))


def _handed_on(field: AnyField, vendor: str) -> Iterator[type]:
    kind = field.target_field if isinstance(field, ForeignKey) else field
    if isinstance(kind, CharField | TextField):
        yield str
    elif isinstance(kind, BooleanField):
        yield bool
    elif isinstance(kind, IntegerField) and vendor == "sqlite":  # PostgreSQL's driver is told how wide it is
        yield int


@dataclass(frozen=True)
class _Write:
    sql: str
    columns: Sequence[_Column]

    def values(self, row: Model, connection: BaseDatabaseWrapper, *, new: bool) -> list[Any]:
        """What the database is given for a row. Django's own way there takes five calls for each value."""
        found = []
        for column in self.columns:
            value = getattr(row, column.name) if column.name else column.field.pre_save(row, new)
            plain = isinstance(value, column.plain)
            found.append(value if plain else column.field.get_db_prep_save(value, connection))
        return found


@lru_cache(maxsize=100)
def _insert(model: type[Model], vendor: str, rows: int) -> _Write:
    fields = model._meta.concrete_fields
    names = ", ".join(map(_quoted, fields))
    places = f"({', '.join(['%s'] * len(fields))})"
    sql = " ".join(("INSERT INTO", _table(model), f"({names})", "VALUES", ", ".join([places] * rows)))
    return _Write(sql, [_Column(field, vendor) for field in fields])


@lru_cache(maxsize=100)
def _update(model: type[Model], vendor: str, names: Sequence[str], where_null: str) -> _Write:
    fields, key = [_field(model, name) for name in names], _key(model)
    places = ", ".join(f"{_quoted(field)} = %s" for field in fields)
    where = f"{_quoted(key)} = %s AND {_quoted(_field(model, where_null))} IS NULL"
    sql = " ".join(("UPDATE", _table(model), "SET", places, "WHERE", where))
    return _Write(sql, [_Column(field, vendor) for field in (*fields, key)])


def _field(model: type[Model], name: str) -> AnyField:
    field = model._meta.get_field(name)
    assert isinstance(field, Field), f"{name} has a column"  # noqa: S101
    return field


def _key(model: type[Model]) -> AnyField:
    key = model._meta.pk
    assert key is not None, "every model has a key"  # noqa: S101
    return key


def _quoted(field: AnyField) -> str:
    return connections[DEFAULT_DB_ALIAS].ops.quote_name(field.column)


def _table(model: type[Model]) -> str:
    return connections[DEFAULT_DB_ALIAS].ops.quote_name(model._meta.db_table)


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
        connection = connections[DEFAULT_DB_ALIAS]
        statement = self._statements.get(connection.vendor)
        if statement is None:
            statement = self._statements[connection.vendor] = self._work_out(connection)
        with cursor(connection) as asked:
            given = [arguments[p.position] if isinstance(p, _Argument) else p for p in statement.parameters]
            asked.execute(statement.sql, given)
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


def _object(model: type[M], statement: _Statement, row: Sequence[Any], connection: BaseDatabaseWrapper) -> M:
    values = list(row)
    for column, (converters, expression) in statement.converters.items():
        for convert in converters:
            values[column] = convert(values[column], expression, connection)
    found = model.from_db(connection.alias, statement.names, values[: len(statement.names)])
    for name, column in statement.annotations.items():
        setattr(found, name, values[column])
    return found
