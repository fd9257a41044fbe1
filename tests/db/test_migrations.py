"""The revisions make exactly the tables the code speaks of, and can be taken back with data in them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from connector.db import tables as t
from connector.db.engine import make_engine
from connector.db.migrations import downgrade, newest_revision, revision_of, upgrade
from tests.db.conftest import NOW


def _add_merchant(address: str, slug: str) -> None:
    engine = make_engine(address)
    with engine.begin() as connection:
        made = connection.execute(
            sa.insert(t.merchants).values(slug=slug, created_at=NOW).returning(t.merchants.c.id)
        ).scalar_one()
        connection.execute(
            sa.insert(t.connections).values(
                merchant_id=made, system="xero", tenant=slug, extra={}, state="active", created_at=NOW
            )
        )
    engine.dispose()


def _count(address: str, table: sa.Table) -> int:
    engine = make_engine(address)
    with engine.connect() as connection:
        number: int = connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
    engine.dispose()
    return number


def test_the_revisions_and_the_tables_agree(schema_url: str) -> None:
    engine = make_engine(schema_url)
    with engine.connect() as connection:
        # Alembic misreads SQLite's empty-string defaults, so those are compared on PostgreSQL.
        defaults = connection.dialect.name == "postgresql"
        context = MigrationContext.configure(connection, opts={"compare_server_default": defaults})
        differences: list[Any] = compare_metadata(context, t.metadata)
    engine.dispose()
    assert differences == []


def test_upgrading_again_changes_nothing(schema_url: str) -> None:
    assert revision_of(schema_url) == newest_revision()
    _add_merchant(schema_url, "kept")
    upgrade(schema_url)
    assert (_count(schema_url, t.merchants), _count(schema_url, t.connections)) == (1, 1)


def test_every_revision_can_be_taken_back_and_come_again_with_data_in_place(schema_url: str) -> None:
    _add_merchant(schema_url, "kept")
    downgrade(schema_url, "0002")
    assert revision_of(schema_url) == "0002"
    upgrade(schema_url)
    assert (_count(schema_url, t.merchants), _count(schema_url, t.connections)) == (1, 1)
    downgrade(schema_url, "base")
    assert revision_of(schema_url) is None
    engine = make_engine(schema_url)
    left = set(sa.inspect(engine).get_table_names()) - {"alembic_version"}
    engine.dispose()
    assert left == set()
    upgrade(schema_url)
    assert revision_of(schema_url) == newest_revision()


def test_several_processes_may_upgrade_at_once(database_url: str) -> None:
    program = "import sys; from connector.db.migrations import upgrade; upgrade(sys.argv[1])"
    processes = [subprocess.Popen([sys.executable, "-c", program, database_url]) for _ in range(3)]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    assert revision_of(database_url) == newest_revision()


def test_a_sqlite_file_with_data_is_copied_before_it_is_changed(sqlite_url: str, tmp_path: Path) -> None:
    upgrade(sqlite_url, "0007")
    _add_merchant(sqlite_url, "kept")
    upgrade(sqlite_url)
    copy = f"sqlite:///{tmp_path / 'duebridge.db.before-0007'}"
    assert revision_of(copy) == "0007"
    assert _count(copy, t.merchants) == 1


def test_rebuilding_a_table_on_sqlite_keeps_the_rows_that_refer_to_it(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Alembic rebuilds tables on SQLite; with foreign keys enforced that would delete what hangs on them."""
    from alembic import command, op
    from alembic.migration import MigrationContext as Context
    from alembic.operations import Operations

    upgrade(sqlite_url, "0007")
    _add_merchant(sqlite_url, "kept")

    def rebuild(config: Any, revision: str) -> None:
        connection = config.attributes["connection"]
        context = Context.configure(connection, opts={"render_as_batch": True})
        with Operations.context(context), op.batch_alter_table("merchants", recreate="always") as batch:
            batch.add_column(sa.Column("motto", sa.Text()))

    monkeypatch.setattr(command, "upgrade", rebuild)
    upgrade(sqlite_url)
    assert (_count(sqlite_url, t.merchants), _count(sqlite_url, t.connections)) == (1, 1)
    engine = make_engine(sqlite_url)
    columns = {column["name"] for column in sa.inspect(engine).get_columns("merchants")}
    engine.dispose()
    assert "motto" in columns


def test_a_revision_that_breaks_references_is_rolled_back(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import command

    from connector.db.migrations import BrokenReferences

    upgrade(sqlite_url, "0007")
    _add_merchant(sqlite_url, "kept")

    def lose(config: Any, revision: str) -> None:
        config.attributes["connection"].execute(sa.delete(t.merchants))

    monkeypatch.setattr(command, "upgrade", lose)
    with pytest.raises(BrokenReferences, match="connections"):
        upgrade(sqlite_url)
    assert _count(sqlite_url, t.merchants) == 1


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("allocations", {"payment_id": "p", "invoice_id": 1, "amount": 0}),
        (
            "refunds",
            {"id": "r", "payment_id": "p", "amount": -5, "currency": "EUR", "state": "asked", "created_at": NOW},
        ),
    ],
)
def test_amounts_that_make_no_sense_are_refused(
    engine: sa.Engine, merchants: tuple[int, int], table: str, values: dict[str, Any]
) -> None:
    with pytest.raises(sa.exc.IntegrityError, match=f"ck_{table}_amount"), engine.begin() as connection:
        connection.execute(sa.insert(t.metadata.tables[table]).values(merchant_id=merchants[0], **values))
