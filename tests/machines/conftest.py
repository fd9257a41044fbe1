"""Databases as background work needs them."""

from tests.jobs.conftest import (
    address,
    postgresql_address,
    postgresql_prepared,
    sqlite_address,
    sqlite_prepared,
)

__all__ = ["address", "postgresql_address", "postgresql_prepared", "sqlite_address", "sqlite_prepared"]
