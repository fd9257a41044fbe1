"""Connect, sync, links, pay, reconcile, write back: the walk the product exists for, on both databases."""

from __future__ import annotations

import pytest

from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from tests.walks.world import World, world


def _balance(here: World, system: str, remote_id: str) -> str:
    return next(str(row["balance"]) for row in here.books(system)["invoices"] if row["id"] == remote_id)


@pytest.mark.parametrize("system", ["quickbooks", "xero"])
def test_a_payment_reaches_the_books_exactly_once(schema_url: str, system: str) -> None:
    with world(schema_url) as here:
        connection_id = here.connect(system)
        here.work()
        invoices = here.open_invoices(connection_id, system, most=2)
        known = {payment["id"] for payment in here.books(system)["payments"]}
        here.press(here.start_payment(invoices))
        here.settle(lambda: here.payment().state is PaymentState.SETTLED)
        here.settle(lambda: all(p.state is PostingState.POSTED for p in here.postings(here.payment().id)))
        made = [payment for payment in here.books(system)["payments"] if payment["id"] not in known]
        expected = 1 if system == "quickbooks" else len(invoices)
        assert len(made) == expected
        assert {remote for payment in made for remote in payment["invoices"]} == {row.remote_id for row in invoices}
        assert {float(_balance(here, system, row.remote_id)) for row in invoices} == {0.0}
        assert here.ledger_is_zero()
