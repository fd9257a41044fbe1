"""A record that can no longer be read costs nothing but itself: it is shown with its cause until it is read again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest

from connector.contract import TryAgain
from connector.db.rows import InvoiceRow
from connector.db.work import WorkItem
from connector.domain.tasks import What
from connector.domain.work import Work
from connector.errors import Conflict
from connector.journeys import drift, fix_record, full_sweep
from connector.reading import differences
from connector.reading.difference_fixes import Difference
from integrations.systems.quickbooks.simulator.upstream import upstream
from tests.walks.standing import Place, both_connected


@pytest.fixture(scope="module")
def place(shared_url: str) -> Iterator[Place]:
    """Both systems connected and read, on each database."""
    with both_connected(shared_url, invoices=40) as made:
        yield made


def _rewrite(place: Place, invoice: InvoiceRow, **values: Any) -> dict[str, Any]:
    """Let QuickBooks send an invoice with other values, and no word of a change; what it was."""
    parts = upstream(place.here.upstreams.apps["quickbooks"])
    (books,) = parts.books.values()
    document = books.find("Invoice", invoice.remote_id)
    assert document is not None
    parts.store.put(books.kind("Invoice"), invoice.remote_id, document | values)
    return document


def _at_night(place: Place, kind: Work, night: str) -> None:
    """One night's work to its end."""
    connection = place.connections["quickbooks"]
    with place.here.wiring.database.unit_of_work(place.here.merchant_id) as uow:
        uow.work.add(kind, night, partition=str(connection), payload={"connection": connection}, delay=9e6)
        uow.connections.change(connection, last_synced_at=uow.now + timedelta(hours=1))
        found = uow.work.find(kind, night)
    assert found is not None
    _to_its_end(place, found.item)


def _to_its_end(place: Place, item: WorkItem) -> None:
    run = {Work.DRIFT: drift.run, Work.FULL_SWEEP: full_sweep.run}[item.kind]
    for _ in range(50):
        try:
            run(place.here.wiring, item)
        except TryAgain:
            continue
        return
    raise AssertionError("there is no end of it")


def _unread(place: Place) -> list[Difference]:
    found = differences.waiting(place.here.wiring, place.here.merchant_id)
    return [one for one in found if one.what == What.UNREAD]


@pytest.mark.parametrize("work", [Work.DRIFT, Work.FULL_SWEEP])
@pytest.mark.parametrize("alone", [False, True], ids=["in a page", "asked for alone"])
def test_a_record_that_became_unreadable_is_shown_until_it_is_read(place: Place, work: Work, alone: bool) -> None:
    invoice, other = place.invoices("quickbooks")[0], place.invoices("quickbooks")[0]
    connection = place.connections["quickbooks"]
    before = _rewrite(place, invoice, TotalAmt=None)
    place.by_hand("quickbooks", other, "pay", amount="2.00")
    with place.here.wiring.database.unit_of_work(place.here.merchant_id) as uow:
        # What is before the history's start is in no page, and asked for one by one.
        uow.connections.change(connection, history_start=date(2099, 1, 1) if alone else None)
    _at_night(place, work, f"{work}-{alone}")
    assert place.mirrored(other).balance == other.balance - 200, "the others were read"
    assert place.mirrored(invoice).balance == invoice.balance, "as it was read before"
    (one,) = _unread(place)
    assert one.name == f"Invoice {invoice.number}" and "total" in one.cause and "As it was read before" in one.ours
    assert [fix.action for fix in one.fixes] == ["read", "ignore"]
    mine = (place.here.wiring, place.here.merchant_id, int(one.ref[1:]))
    with pytest.raises(Conflict, match="cannot be read"):
        fix_record.read_again(*mine, user_id=1)
    assert len(_unread(place)) == 1
    _rewrite(place, invoice, **before)
    assert fix_record.read_again(*mine, user_id=1)
    assert not _unread(place)
