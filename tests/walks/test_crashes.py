"""Every walk again, once for each of its steps, with the process dying there. The books agree all the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count

import pytest
import sqlalchemy as sa

from connector.db import tables as t
from connector.db.rows import InvoiceRow
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from tests.walks.crashes import Died, steps
from tests.walks.world import World, world

_MOST_STEPS = 150
# Longer than any call may take, as a real restart's look-ups wait.
_RESTART_SECONDS = 40.0


def _until_it_holds(here: World, walk: Callable[[], None], fatal: int) -> bool:
    """Take the walk, dying at a step, then again as after a restart; whether it died at all."""
    with steps(fatal) as counter, suppress(Died):
        walk()
    if not counter.dead:
        return False
    _restart(here)
    walk()
    return True


def _restart(here: World) -> None:
    """A new process begins when what the dead one held has run out: leases and slots go by the database's clock, which
    tests cannot move."""
    here.advance(_RESTART_SECONDS)
    with here.wiring.database.engine.begin() as connection:
        connection.execute(sa.delete(t.leases))
        connection.execute(sa.delete(t.slots))


@pytest.mark.parametrize("system", ["quickbooks", "xero"])
def test_a_payment_survives_a_crash_at_every_step(schema_url: str, system: str) -> None:
    with world(schema_url, invoices=300) as here:
        connection_id = here.connect(system)
        here.work()
        pool = _open(here, connection_id, system)
        for fatal in count():
            assert fatal < _MOST_STEPS
            invoices = [pool.pop()]
            died = _until_it_holds(here, lambda: _pay(here, invoices, f"form-{fatal}"), fatal)  # noqa: B023
            _check(here, system, invoices, f"form-{fatal}")
            if not died:
                break
        assert fatal > 20, "the walk has many steps"
        assert here.ledger_is_zero()


@pytest.mark.parametrize("system", ["quickbooks", "xero"])
def test_a_returned_debit_survives_a_crash_at_every_step(sqlite_schema_url: str, system: str) -> None:
    with world(sqlite_schema_url, invoices=300) as here:
        connection_id = here.connect(system)
        here.work()
        pool = _open(here, connection_id, system)
        for fatal in count():
            assert fatal < _MOST_STEPS
            invoice = pool.pop()
            _pay(here, [invoice], f"form-{fatal}", "bank_returns_late")
            died = _until_it_holds(
                here,
                lambda: _returned(here, f"form-{fatal}", connection_id, system),  # noqa: B023
                fatal,
            )
            payment = _payment(here, f"form-{fatal}")
            states = {posting.state for posting in here.postings(payment)}
            assert states - {PostingState.SUPERSEDED} == {PostingState.REVERSED}
            now = next(row for row in here.books(system)["invoices"] if row["id"] == invoice.remote_id)
            assert now["open"], "the invoice is due again"
            if not died:
                break
        assert fatal > 8
        assert here.ledger_is_zero()


def test_a_first_import_with_links_survives_a_crash_at_every_step(sqlite_schema_url: str) -> None:
    with world(sqlite_schema_url, invoices=12) as here:
        connection_id = here.connect("quickbooks")
        for fatal in count(step=3):
            assert fatal < 600
            with steps(fatal) as counter, suppress(Died):
                here.work()
            _restart(here)
            if not counter.dead:
                break
        assert fatal > 20
        here.work()
        open_invoices = [row for row in here.books("quickbooks")["invoices"] if row["open"]]
        with here.wiring.database.view(here.merchant_id) as view:
            placed = view.links.placements(connection_id, ("placed",), 1000)
            assert {row.target for row in placed} == {row["id"] for row in open_invoices}
            assert all(
                view.invoices.by_remote(connection_id, row["id"]) for row in here.books("quickbooks")["invoices"]
            )
        for row in open_invoices:
            assert here.memo(row["sent"]).count("Pay online: ") == 1


def _open(here: World, connection_id: int, system: str) -> list[InvoiceRow]:
    """Invoices of ours with something due, whoever's they are."""
    with here.wiring.database.view(here.merchant_id) as view:
        found = [
            view.invoices.by_remote(connection_id, row["id"]) for row in here.books(system)["invoices"] if row["open"]
        ]
    return [row for row in found if row is not None]


def _pay(here: World, invoices: list[InvoiceRow], form_key: str, button: str = "approve") -> None:
    """The whole walk; taken again, it goes on from wherever it stood."""
    address = here.start_payment(invoices, form_key=form_key)
    if "/checkout/" in address:
        here.press(address, button)
        if button == "bank_returns_late":
            here.settle(lambda: here.state_of(form_key) in (PaymentState.PROCESSING, PaymentState.SETTLED))
            here.advance(4 * 86_400)
    here.settle(lambda: here.state_of(form_key) is PaymentState.SETTLED)
    # What certainly never arrived is sent under a new key; the old posting is superseded then.
    here.settle(
        lambda: (
            {p.state for p in here.postings(_payment(here, form_key))} - {PostingState.SUPERSEDED}
            == {PostingState.POSTED}
        )
    )


def _returned(here: World, form_key: str, connection_id: int, system: str) -> None:
    """The bank takes the money back. A rotated refresh token that died with the process before it was stored ends
    QuickBooks' access, so the merchant connects again when asked to."""
    if here.state_of(form_key) is PaymentState.SETTLED:
        here.advance(35 * 86_400)
    here.settle(lambda: here.state_of(form_key) is PaymentState.RETURNED)

    def reversed_there() -> bool:
        here.reconnect(connection_id, system)
        states = {p.state for p in here.postings(_payment(here, form_key))}
        return states - {PostingState.SUPERSEDED} == {PostingState.REVERSED}

    here.settle(reversed_there)


def _payment(here: World, form_key: str) -> str:
    with here.wiring.database.view(here.merchant_id) as view:
        found = view.payments.by_form(form_key)
    assert found is not None
    return found.id


def _check(here: World, system: str, invoices: list[InvoiceRow], form_key: str) -> None:
    """Upstream, one payment of ours for what was paid, and nothing due; here, nothing locked."""
    payment_id = _payment(here, form_key)
    posted = [posting for posting in here.postings(payment_id) if posting.state is PostingState.POSTED]
    keys = {posting.key for posting in here.postings(payment_id)}
    ours = [row for row in here.books(system)["payments"] if any(key in row["note"] for key in keys)]
    assert len(ours) == len(posted) == 1, "once, and only once"
    standing = {row["id"]: row for row in here.books(system)["invoices"]}
    assert not any(standing[invoice.remote_id]["open"] for invoice in invoices)
    with here.wiring.database.view(here.merchant_id) as view:
        assert not view.payments.lock_holders([invoice.id for invoice in invoices])
        assert sum(view.payments.shares(payment_id).values()) == sum(invoice.balance for invoice in invoices)
