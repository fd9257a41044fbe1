"""What all tables are made of: naming, instants, ids."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Text
from sqlalchemy.engine import Dialect

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def instant_to_micros(value: datetime) -> int:
    """Microseconds since 1970 UTC, exactly."""
    span = value - _EPOCH
    return (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds


def micros_to_instant(value: int) -> datetime:
    """The inverse of `instant_to_micros`."""
    seconds, micros = divmod(value, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=micros)


class Instant(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime, stored as integer microseconds since 1970 so that both databases agree exactly."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        """Refuse naive datetimes; store microseconds."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("An instant needs its time zone.")
        return instant_to_micros(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read microseconds back as an aware datetime."""
        return None if value is None else micros_to_instant(value)


# SQLite numbers rows by itself only for INTEGER primary keys.
Id = BigInteger().with_variant(Integer, "sqlite")


def merchant_column() -> Column[int]:
    """The owner of a row."""
    return Column("merchant_id", Id, ForeignKey("merchants.id"), nullable=False)


def text_column(name: str, default: str = "") -> Column[str]:
    """Text that is empty rather than absent."""
    return Column(name, Text, nullable=False, server_default=default)


def some_rows(name: str, *columns: str, where: str) -> Index:
    """An index of the few rows somebody looks for among many."""
    return Index(name, *columns, sqlite_where=sa.text(where), postgresql_where=sa.text(where))


def instant_column(name: str, nullable: bool = True) -> Column[datetime]:
    """A moment in time."""
    return Column(name, Instant, nullable=nullable)
