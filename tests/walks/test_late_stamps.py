"""Changes committed upstream later than they are stamped, as systems do that stamp first and commit afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from connector.contract import Access
from connector.domain.records import Kind, UpstreamInvoice
from connector.journeys import sync
from connector.manifest import AdapterConfig, Capabilities
from integrations.simulator.clock import Clock
from integrations.simulator.server import serve
from integrations.systems.quickbooks.manifest import MANIFEST as QUICKBOOKS
from integrations.systems.xero.manifest import MANIFEST as XERO
from tests.integrations.limiters import MemoryLimiter
from tests.walks.standing import Place
from tests.weakbooks.adapter import WeakBooks
from tests.weakbooks.manifest import manifest_of
from tests.weakbooks.simulator import WeakUpstreams
from tests.weakbooks.weaknesses import Weakness
from tests.weakbooks.wiring import control


@contextmanager
def stamped(clock: Clock, seconds_ago: float) -> Iterator[None]:
    """What is committed inside carries a stamp of the past."""
    with patch.object(clock, "_offset", clock._offset - seconds_ago):
        yield


def _read(place: Place, system: str) -> None:
    sync.ask(place.here.wiring, place.here.merchant_id, place.connections[system])
    place.here.work()


@pytest.mark.parametrize("system", ["quickbooks", "xero"])
def test_a_change_stamped_before_the_last_reading_and_committed_after_it_is_read(place: Place, system: str) -> None:
    overlap = {"quickbooks": QUICKBOOKS, "xero": XERO}[system].capabilities.delta_overlap
    assert overlap >= 300, "minutes: batches were seen to commit long after their stamps"
    # Nothing of the invoice itself carries a later stamp: our own link was placed well before.
    place.here.advance(2 * overlap)
    _read(place, system)
    (invoice,) = place.invoices(system)
    with stamped(place.here.upstreams.clock, overlap - 30):
        place.here.fault(system, "hold_webhooks", "*", times=1000)
        place.by_hand(system, invoice, "pay", amount="1.00")
    _read(place, system)
    assert place.mirrored(invoice).balance == invoice.balance - 100


def test_the_overlap_is_what_the_manifest_says() -> None:
    upstreams = WeakUpstreams()
    with serve(upstreams) as server:
        config = AdapterConfig({"api": f"{server.url}/weak_search"}, {}, (), {})
        system = WeakBooks(config, MemoryLimiter(), manifest_of(Weakness("search")))
        access = Access("1", "t1", lambda refused: "", {})
        cursor = system.page(access, Kind.INVOICE, system.first_cursor(access, Kind.INVOICE, None)).next
        assert system.manifest.capabilities.delta_overlap == Capabilities().delta_overlap == 300
        control(server.url, "search", "invoices", total=100, stamped_ago=290)
        control(server.url, "search", "invoices", total=200, stamped_ago=310)
        page = system.page(access, Kind.INVOICE, cursor)
        read = [row.total for row in page.records if isinstance(row, UpstreamInvoice)]
        assert read == [100], "older ones are the full sweep's"
