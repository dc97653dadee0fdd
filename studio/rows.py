"""Models in rows of our own SQL: their columns, and the models made of what was read."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

from django.db.models import Model
from psycopg import sql

M = TypeVar("M", bound=Model)


def columns(model: type[Model], table: str) -> sql.Composed:
    """Return the columns of a model, whose table is called `table` in the statement."""
    return sql.SQL(", ").join(sql.Identifier(table, field.column) for field in model._meta.concrete_fields)


def width(model: type[Model]) -> int:
    """Return how many columns a model has."""
    return len(_names(model))


def made(model: type[M], values: Sequence[Any]) -> M:
    """Make a model of the values of its columns."""
    return model.from_db("default", _names(model), values)


@lru_cache
def _names(model: type[Model]) -> list[str]:
    return [field.attname for field in model._meta.concrete_fields]
