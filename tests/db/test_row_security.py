"""PostgreSQL keeps merchants apart by itself, should a query ever forget to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.engine import bind_to_merchant, make_engine
from connector.db.migrations import upgrade
from tests.db.conftest import NOW

_ROLE = "duebridge_app"


@pytest.fixture
def walled(postgresql_url: str) -> Iterator[sa.Engine]:
    """An engine of a role that is neither superuser nor bypasses row security, on a database with two merchants."""
    upgrade(postgresql_url)
    owner = make_engine(postgresql_url)
    with owner.begin() as connection:
        if not connection.execute(sa.text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": _ROLE}).first():
            connection.execute(sa.text(f"CREATE ROLE {_ROLE} NOSUPERUSER NOBYPASSRLS"))
        connection.execute(sa.text(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {_ROLE}"))
        connection.execute(sa.text(f"GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {_ROLE}"))
        for number, slug in enumerate(("north", "south"), 1):
            connection.execute(sa.insert(t.merchants).values(id=number, slug=slug, created_at=NOW))
            connection.execute(
                sa.insert(t.audit_log).values(merchant_id=number, at=NOW, action="signed in", target=slug)
            )
    owner.dispose()
    engine = make_engine(postgresql_url)

    @sa.event.listens_for(engine, "begin")
    def become(connection: sa.Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL ROLE {_ROLE}")

    yield engine
    engine.dispose()
    owner = make_engine(postgresql_url)
    with owner.begin() as connection:
        connection.execute(sa.text(f"DROP OWNED BY {_ROLE}"))
    owner.dispose()


def _targets(connection: sa.Connection) -> list[str]:
    return list(connection.execute(sa.select(t.audit_log.c.target).order_by(t.audit_log.c.id)).scalars())


def test_a_bound_transaction_sees_its_own_merchant_only(walled: sa.Engine) -> None:
    with walled.begin() as connection:
        bind_to_merchant(connection, 2)
        assert _targets(connection) == ["south"]


def test_the_installation_sees_all(walled: sa.Engine) -> None:
    with walled.begin() as connection:
        bind_to_merchant(connection, None)
        assert _targets(connection) == ["north", "south"]


def test_a_transaction_bound_to_nobody_sees_nothing_even_on_a_used_connection(walled: sa.Engine) -> None:
    with walled.begin() as connection:
        bind_to_merchant(connection, 1)
        assert _targets(connection) == ["north"]
    with walled.begin() as connection:
        assert _targets(connection) == []


def test_rows_of_another_merchant_can_be_neither_written_nor_changed(walled: sa.Engine) -> None:
    with pytest.raises(sa.exc.ProgrammingError, match="row-level security"), walled.begin() as connection:
        bind_to_merchant(connection, 1)
        connection.execute(sa.insert(t.audit_log).values(merchant_id=2, at=NOW, action="forged"))
    with walled.begin() as connection:
        bind_to_merchant(connection, 1)
        assert connection.execute(sa.update(t.audit_log).values(target="changed")).rowcount == 1
        assert connection.execute(sa.delete(t.audit_log).where(t.audit_log.c.merchant_id == 2)).rowcount == 0


def test_work_of_the_installation_itself_is_hidden_from_merchants(walled: sa.Engine) -> None:
    values = {"kind": "delivery", "partition": "p", "state": "pending", "attempt": 1, "payload": {}}
    with walled.begin() as connection:
        bind_to_merchant(connection, None)
        connection.execute(sa.insert(t.work).values(id="delivery::1", next_at=NOW, created_at=NOW, **values))
    with walled.begin() as connection:
        bind_to_merchant(connection, 1)
        assert connection.execute(sa.select(sa.func.count()).select_from(t.work)).scalar() == 0


def test_every_table_of_merchants_is_walled(walled: sa.Engine) -> None:
    owned = {table.name for table in t.metadata.tables.values() if "merchant_id" in table.c}
    with walled.begin() as connection:
        found = set(
            connection.execute(
                sa.text("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
            ).scalars()
        )
    assert found == owned
    assert {table.name for table in t.metadata.tables.values()} - owned == t.INSTALLATION_WIDE
