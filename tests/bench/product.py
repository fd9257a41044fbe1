"""The product as the measurements drive it: an installation with one merchant and one connection, and its commands."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from connector.app import wire
from connector.config import read_settings
from connector.contract import TokenSet
from connector.db.leases import seal_tokens
from connector.db.migrations import upgrade
from connector.demo.surroundings import CREDENTIALS
from connector.journeys import sign_up
from connector.wiring import Wiring

SYSTEM = {"qbo": "quickbooks", "xero": "xero"}
_API = {"qbo": "", "xero": "/api.xro/2.0"}
# No waiting for the rate limit, where the limit is not what is measured.
UNHURRIED = {"DUEBRIDGE_QUICKBOOKS_RATE": "100000/60", "DUEBRIDGE_XERO_RATE": "100000/60"}


def environment(database_url: str, upstream_url: str = "http://127.0.0.1:9", **more: str) -> dict[str, str]:
    """What the product's processes are told from outside."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("DUEBRIDGE_")}
    return {
        **ours,
        **CREDENTIALS,
        "DUEBRIDGE_DATABASE_URL": database_url,
        "DUEBRIDGE_PUBLIC_URL": "http://127.0.0.1:8000",
        "DUEBRIDGE_QUICKBOOKS_API_URL": f"{upstream_url}{_API['qbo']}",
        "DUEBRIDGE_XERO_API_URL": f"{upstream_url}{_API['xero']}",
        **more,
    }


def wired(environ: Mapping[str, str]) -> Wiring:
    """The product's parts, with nobody to wake for background work."""
    return wire(read_settings(environ), dispatch=lambda connection, item, delay: None)


@dataclass(frozen=True, slots=True)
class Installation:
    """A database with one merchant and one active connection of which nothing has been read."""

    database_url: str
    merchant_id: int
    connection_id: int

    def sync_command(self) -> list[str]:
        """What an operator types to read the invoices."""
        return [
            str(Path(sys.executable).with_name("duebridge")), "sync", "--kind", "invoice",
            "--merchant", str(self.merchant_id), "--connection", str(self.connection_id),
        ]  # fmt: skip


def install(database_url: str, kind: str) -> Installation:
    """Make the tables, sign a merchant up and connect it to `kind` ('qbo' or 'xero') without asking the upstream."""
    upgrade(database_url)
    wiring = wired(environment(database_url))
    sign_up.run(wiring, company="Northwind", name="Alex", email="alex@northwind.example", password="a long password")
    with wiring.database.lookup() as everybody:
        staff = everybody.staff("alex@northwind.example")
    assert staff is not None
    merchant_id = staff[1]
    later = datetime.now(UTC) + timedelta(days=30)
    with wiring.database.unit_of_work(merchant_id) as uow:
        connection_id = uow.connections.add(
            system=SYSTEM[kind],
            tenant="1" if kind == "qbo" else "00000000-0000-0000-0000-000000000001",
            name="Northwind",
            currency="USD",
            extra={"currency": "USD", "name": "Northwind", "base_currency": "NZD"},
            install_key=None,
        )
        tokens = TokenSet("access", "refresh", access_expires=later, refresh_expires=later)
        uow.connections.store_secrets(connection_id, seal_tokens(uow.vault, str(connection_id), tokens))
        uow.connections.confirm(connection_id, history_start=None, deposit_account="", place_links=True)
    wiring.database.engine.dispose()
    return Installation(database_url, merchant_id, connection_id)


class SqliteInstallations:
    """Hands out fresh copies of one installation on SQLite."""

    def __init__(self, home: Path, kind: str) -> None:
        self._file = home / "installation.db"
        self._forget(home / "original.db")
        self._original = install(f"sqlite:///{home / 'original.db'}", kind)
        with closing(sqlite3.connect(home / "original.db")) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self._source = home / "original.db"

    def fresh(self) -> Installation:
        """A copy of which nothing has been read; the one before is gone."""
        self._forget(self._file)
        shutil.copy(self._source, self._file)
        return Installation(f"sqlite:///{self._file}", self._original.merchant_id, self._original.connection_id)

    @staticmethod
    def _forget(file: Path) -> None:
        for suffix in ("", "-wal", "-shm", "-next", "-writing"):
            file.with_name(file.name + suffix).unlink(missing_ok=True)
