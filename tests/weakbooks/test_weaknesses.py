"""Each small system has exactly its weakness: what becomes of a payment sent twice, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from connector.app import HANDLERS
from connector.contract import Access, PaymentIntent, Refused, TryAgain, Unclear
from connector.domain.records import InvoiceState, Kind
from connector.jobs.runner import run_due
from connector.manifest import AdapterConfig
from integrations.simulator.server import serve
from tests.integrations.limiters import MemoryLimiter
from tests.walks.world import world
from tests.weakbooks.adapter import WeakBooks
from tests.weakbooks.manifest import manifest_of
from tests.weakbooks.simulator import WeakUpstreams
from tests.weakbooks.weaknesses import ALL, Weakness, weakness_of
from tests.weakbooks.wiring import connect_weak, control, recorded_upstream, weak_process, with_weak

ACCESS = Access("1", "t1", lambda refused: "", {})


@pytest.fixture
def upstreams() -> Iterator[WeakUpstreams]:
    yield WeakUpstreams()


@pytest.fixture
def url(upstreams: WeakUpstreams) -> Iterator[str]:
    with serve(upstreams) as server:
        yield server.url


def adapter(url: str, weakness: Weakness) -> WeakBooks:
    config = AdapterConfig({"api": f"{url}/{weakness.name}"}, {}, (), {})
    return WeakBooks(config, MemoryLimiter(), manifest_of(weakness))


def intent(*shares: tuple[str, int], key: str = "a" * 32) -> PaymentIntent:
    amount = sum(share for _, share in shares)
    return PaymentIntent(key, "c1", amount, "USD", date(2026, 11, 22), shares, "bank", key[:21], "Paid online")


def test_a_name_stands_for_one_weakness() -> None:
    assert [weakness_of(one.name) for one in ALL] == list(ALL)
    assert weakness_of("quickbooks") is None and weakness_of("weak_anything") is None


@pytest.mark.parametrize(
    ("kind", "times"), [("native_key", 1), ("unique_field", 1), ("natural", 1), ("search", 2), ("none", 2)]
)
def test_a_payment_sent_twice_is_recorded_as_often_as_the_weakness_says(url: str, kind: str, times: int) -> None:
    weakness = weakness_of(f"weak_{kind}")
    assert weakness is not None
    system = adapter(url, weakness)
    (invoice,) = control(url, kind, "invoices", total=1000)
    sent = intent((invoice["id"], 300))
    first = system.record_payment(ACCESS, sent)
    if kind == "unique_field":
        with pytest.raises(Refused) as told:
            system.record_payment(ACCESS, sent)
        assert told.value.code == "duplicate"
    else:
        again = system.record_payment(ACCESS, sent)
        assert (again.remote_id == first.remote_id) is (times == 1)
    assert [line["amount"] for line in recorded_upstream(url)] == [300] * times
    assert system.invoice(ACCESS, invoice["id"]).balance == 1000 - 300 * times
    if kind == "search":
        with pytest.raises(Unclear, match="2 payments carry our reference"):
            system.find_payment(ACCESS, sent)
    elif kind == "none":
        assert system.find_payment(ACCESS, sent) is None, "nothing can be asked by reference"
    else:
        assert system.find_payment(ACCESS, sent) == first


def test_a_key_is_forgotten_after_its_lifetime(url: str, upstreams: WeakUpstreams) -> None:
    system = adapter(url, Weakness("native_key"))
    (invoice,) = control(url, "native_key", "invoices", total=1000)
    sent = intent((invoice["id"], 300))
    first = system.record_payment(ACCESS, sent)
    upstreams.clock.advance(599)
    assert system.record_payment(ACCESS, sent) == first
    upstreams.clock.advance(2)
    assert system.record_payment(ACCESS, sent) != first


def test_a_payment_taken_back_reopens_its_invoice_once(url: str) -> None:
    system = adapter(url, Weakness("search"))
    (invoice,) = control(url, "search", "invoices", total=300)
    made = system.record_payment(ACCESS, intent((invoice["id"], 300)))
    assert system.invoice(ACCESS, invoice["id"]).state is InvoiceState.PAID
    for _ in range(2):
        system.reverse_payment(ACCESS, made)
    assert system.invoice(ACCESS, invoice["id"]).balance == 300
    assert [line["what"] for line in recorded_upstream(url)] == ["recorded", "voided"]


def test_one_invoice_a_payment_where_the_system_takes_no_more(url: str) -> None:
    system = adapter(url, Weakness("search", multi_invoice=False))
    invoices = control(url, "weak_search_parts", "invoices", count=2, total=100)
    with pytest.raises(Refused, match="settles one invoice"):
        system.record_payment(ACCESS, intent(*((one["id"], 100) for one in invoices)))
    assert recorded_upstream(url) == []


@pytest.mark.parametrize(
    ("fault", "answer", "recorded"),
    [
        ("drop_before_commit", Unclear, 0),
        ("drop_after_commit", Unclear, 1),
        ("error_before_commit", Unclear, 0),
        ("error_after_commit", Unclear, 1),
        ("html_503", Unclear, 0),
        ("truncated_json", Unclear, 1),
        ("throttle", TryAgain, 0),
    ],
)
def test_faults_come_with_and_without_a_commit(url: str, fault: str, answer: type[Exception], recorded: int) -> None:
    system = adapter(url, Weakness("search"))
    (invoice,) = control(url, "search", "invoices", total=1000)
    control(url, "search", "faults", kind=fault, operation="payment.create")
    with pytest.raises(answer):
        system.record_payment(ACCESS, intent((invoice["id"], 300)))
    assert len(recorded_upstream(url)) == recorded


def test_everything_can_be_read_in_pages(url: str) -> None:
    system = adapter(url, Weakness("search"))
    control(url, "search", "invoices", count=250, total=1000)
    cursor, seen = system.first_cursor(ACCESS, Kind.INVOICE, None), set[str]()
    for _ in range(3):
        page = system.page(ACCESS, Kind.INVOICE, cursor)
        cursor = page.next
        seen |= {record.remote_id for record in page.records}
    assert page.done and len(seen) == 250


def test_a_process_of_its_own_keeps_a_log(tmp_path: Path) -> None:
    with weak_process(tmp_path) as url:
        (invoice,) = control(url, "natural", "invoices", total=500)
        adapter(url, Weakness("natural")).record_payment(ACCESS, intent((invoice["id"], 500)))
        assert [line["amount"] for line in recorded_upstream(url)] == [500]
    assert "a" * 32 in (tmp_path / "payments.jsonl").read_text()


def test_the_product_reads_a_small_system_like_any_other(sqlite_schema_url: str, url: str) -> None:
    control(url, "search", "invoices", count=3, total=1000)
    with world(sqlite_schema_url) as here:
        wiring = with_weak(here.wiring, "search", url)
        connection_id = connect_weak(wiring, here.merchant_id, "search")
        run_due(wiring, HANDLERS)
        with wiring.database.view(here.merchant_id) as view:
            found = [view.invoices.by_remote(connection_id, f"i{number}", Kind.INVOICE) for number in (1, 2, 3)]
        assert [row.balance for row in found if row] == [1000] * 3
