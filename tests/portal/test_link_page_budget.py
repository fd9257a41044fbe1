"""What a billing link's page may cost: four statements, 32 kB, and no write, however many invoices a customer has."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from connector.domain.records import InvoiceState, Kind, Line, UpstreamInvoice
from tests.portal.shop import TODAY, Shop

_WRITES = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE}
_LINES = tuple(Line(f"Weekly gardening service, line {number}", "2", "32.50", 65_00, 5_20) for number in range(5))


def _fill(shop: Shop, count: int) -> None:
    """Invoices of the one customer, every fifth of them open."""
    records = [
        UpstreamInvoice(
            kind=Kind.INVOICE,
            remote_id=str(number),
            number=f"INV-{number:06}",
            state=InvoiceState.OPEN if number % 5 == 0 else InvoiceState.PAID,
            customer="c1",
            issue_date=TODAY - timedelta(days=number % 700),
            due_date=TODAY + timedelta(days=30 - number % 700),
            currency="EUR",
            total=325_00,
            tax=26_00,
            balance=325_00 if number % 5 == 0 else 0,
            memo="Thank you for your business and have a great day!",
            reference="",
            theme="",
            emailed=True,
            version="1",
            updated_at=None,
            lines=_LINES,
        )
        for number in range(count)
    ]
    with shop.wiring.database.unit_of_work(shop.merchant_id) as uow:
        uow.mirror.put_invoices(shop.connection_id, records)


def _refuse_writes(engine: sa.Engine) -> None:
    """From now on the database itself refuses every change."""
    if engine.dialect.name == "postgresql":

        @sa.event.listens_for(engine, "begin")
        def begin(connection: sa.Connection) -> None:
            driver: Any = connection.connection.driver_connection
            driver.read_only = True

        return

    def decide(action: int, *_: Any) -> int:
        return sqlite3.SQLITE_DENY if action in _WRITES else sqlite3.SQLITE_OK

    @sa.event.listens_for(engine, "checkout")
    def checkout(driver: Any, *_: Any) -> None:
        driver.set_authorizer(decide)


@pytest.mark.parametrize("count", [20, 200, 2_000])
def test_the_link_page_keeps_within_its_budget(shop: Shop, count: int) -> None:
    _fill(shop, count)
    path = f"/i/{shop.link()}"
    _refuse_writes(shop.wiring.database.engine)
    for _ in range(2):
        shop.statements.clear()
        answer = shop.client.get(path)
        assert answer.status_code == 200
        assert f"€{count // 5 * 325:,}.00" in answer.text
        assert 0 < len(shop.statements) <= 4, shop.statements
        assert len(answer.data) <= 32_000, len(answer.data)


def test_a_database_that_refuses_writes_would_tell(shop: Shop) -> None:
    _refuse_writes(shop.wiring.database.engine)
    with pytest.raises(sa.exc.DatabaseError):
        shop.invoice()
