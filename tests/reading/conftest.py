"""A merchant with a few hundred rows, enough for a database to choose its way."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from connector.domain.records import InvoiceState
from tests.dashboard.firm import TODAY, Firm, open_product, sign_up


@pytest.fixture
def busy_firm(sqlite_schema_url: str) -> Iterator[Firm]:
    """Two hundred invoices of forty customers, and as many payments as fill a page."""
    product = open_product(sqlite_schema_url)
    firm = sign_up(product)
    connection = firm.connection()
    for n in range(40):
        firm.customer(connection, f"c{n}", f"Kunde {n:02}")
    for n in range(200):
        state = InvoiceState.OPEN if n % 4 else InvoiceState.PAID
        firm.invoice(connection, f"i{n}", customer=f"c{n % 40}", state=state, issue_date=TODAY - timedelta(days=n))
    yield firm
    product.wiring.database.engine.dispose()
