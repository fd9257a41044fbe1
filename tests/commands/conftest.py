"""Databases ready to work with, as the job engine's tests use them."""

from tests.jobs.conftest import (  # noqa: F401 - fixtures
    address,
    postgresql_address,
    postgresql_prepared,
    sqlite_address,
    sqlite_prepared,
)
