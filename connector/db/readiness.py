"""Whether this process can do its work: its database, the schema in it, and the keys to what is sealed there."""

from __future__ import annotations

import importlib.resources
import re
from functools import cache
from typing import Any

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.unit_of_work import Database
from connector.db.vault import CannotOpen

_REVISION = re.compile(r"(\d{4}[a-z]?)_\w+\.py")
_STANDING = sa.text("SELECT version_num FROM alembic_version")
_SEALED = sa.select(t.secrets.c.connection_id, t.secrets.c.sealed).order_by(t.secrets.c.connection_id.desc()).limit(1)
_PROBE = b"probe"


def checks(database: Database) -> dict[str, str]:
    """What was looked at, and 'ok' or one word why not; nothing in it is secret.

    database: unreachable; schema: missing, behind (newer is ok: old code runs on a new schema while processes are
    replaced); keys: cannot_open (a key that sealed what is stored is not configured).
    """
    try:
        with database.lookup() as everybody:
            connection = everybody.connection
            connection.execute(sa.select(1))
            standing = _standing(connection)
            sealed = connection.execute(_SEALED).first() if standing == "ok" else None
    except sa.exc.SQLAlchemyError:
        return {"database": "unreachable"}
    return {"database": "ok", "schema": standing, "keys": _keys(database, sealed)}


@cache
def expected_revision() -> str:
    """The revision this version's code was written for: the newest there is, without loading what migrates."""
    versions = importlib.resources.files("connector.db.migrations").joinpath("versions")
    found = (_REVISION.fullmatch(entry.name) for entry in versions.iterdir())
    return max(one[1] for one in found if one)


def _standing(connection: sa.Connection) -> str:
    if not sa.inspect(connection).has_table("alembic_version"):
        return "missing"
    standing = connection.execute(_STANDING).scalar()
    if standing is None:
        return "missing"
    return "ok" if str(standing) >= expected_revision() else "behind"


def _keys(database: Database, sealed: Any) -> str:
    vault = database.vault
    try:
        if vault.open(vault.seal(_PROBE, bound_to="probe"), bound_to="probe") != _PROBE:
            return "cannot_open"
        if sealed is not None:
            vault.open(sealed.sealed, bound_to=f"secrets:{sealed.connection_id}")
    except CannotOpen:
        return "cannot_open"
    return "ok"
