"""Reading: complete, resumable anywhere, exact in every currency; changes made by hand are seen. Every system."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from unittest.mock import patch

import pytest

from connector.contract import Gone
from connector.domain.money import decimal_to_minor
from connector.domain.records import InvoiceState, Kind, Page, UpstreamCustomer, UpstreamInvoice
from integrations.registry import SYSTEMS
from tests.contract.rigs import SYSTEM_RIGS, SystemRig, Taken, everything, read_on


@pytest.fixture(scope="module", params=sorted(SYSTEMS))
def big(request: pytest.FixtureRequest) -> Iterator[SystemRig]:
    """Several pages of invoices."""
    with patch.dict(os.environ, OAUTHLIB_INSECURE_TRANSPORT="1"), SYSTEM_RIGS[request.param](2300) as opened:
        yield opened


def _invoices(pages: list[tuple[str, Page]]) -> list[UpstreamInvoice]:
    return [row for _, page in pages for row in page.records if isinstance(row, UpstreamInvoice)]


def test_a_first_import_reads_every_record_once_in_few_requests(big: SystemRig) -> None:
    system, access = big.system, big.access
    read = read_on(system, access, Kind.INVOICE, system.first_cursor(access, Kind.INVOICE, None))
    size = system.manifest.page_size
    assert len(read) <= -(-2300 // size) + 2 and len(read) >= 3
    found = Counter((row.remote_id, row.version) for row in _invoices(read))
    assert set(found.values()) == {1}, "no record twice at the same version"
    assert {remote_id for remote_id, _ in found} == {row["id"] for row in big.books()}
    assert not [row for _, page in read for row in page.unreadable]
    told = [page.total for _, page in read if page.total is not None]
    assert told and set(told) == {len(found)}


def test_pages_that_may_be_asked_ahead_are_the_same_pages(big: SystemRig) -> None:
    system, access = big.system, big.access
    first = system.first_cursor(access, Kind.INVOICE, None)
    one_by_one = read_on(system, access, Kind.INVOICE, first)
    ahead, cursor = [], first
    while True:
        planned = system.ahead(Kind.INVOICE, cursor)
        assert planned[0] == cursor
        pages = [big.fresh().page(access, Kind.INVOICE, each) for each in reversed(planned)][::-1]
        ahead += pages
        assert [page.next for page in pages[:-1]] == list(planned[1:]), "each page leads to the next one planned"
        if pages[-1].done:
            break
        cursor = pages[-1].next
    assert [row.remote_id for page in ahead for row in page.records if isinstance(row, UpstreamInvoice)] == [
        row.remote_id for row in _invoices(one_by_one)
    ]


def test_reading_is_resumed_from_any_cursor_by_an_adapter_that_knows_nothing(big: SystemRig) -> None:
    system, access = big.system, big.access
    read = read_on(system, access, Kind.INVOICE, system.first_cursor(access, Kind.INVOICE, None))
    for place, (cursor, page) in enumerate(read):
        again = read_on(big.fresh(), access, Kind.INVOICE, cursor)
        assert again[0][1].records == page.records
        assert [row.remote_id for row in _invoices(again)] == [row.remote_id for row in _invoices(read[place:])]


def test_one_invoice_is_complete_and_says_what_its_page_says(rig: SystemRig) -> None:
    rows = standing(rig)
    for currency in sorted({row.currency for row in rows}):
        for row in [row for row in rows if row.currency == currency][:5]:
            one = rig.system.invoice(rig.access, row.remote_id)
            assert one == row, currency
            assert one.lines, currency


def test_amounts_are_exact_in_every_currency(rig: SystemRig) -> None:
    shown = {row["id"]: row for row in rig.books()}
    currencies = Counter[str]()
    for row in standing(rig):
        if row.state is InvoiceState.VOID:
            continue
        said = shown[row.remote_id]
        assert row.currency == said["currency"]
        assert row.total == decimal_to_minor(Decimal(said["total"]), row.currency)
        assert row.balance == decimal_to_minor(Decimal(said["balance"]), row.currency)
        assert (row.state is InvoiceState.OPEN and row.balance > 0) == said["open"]
        currencies[row.currency] += 1
    assert len(currencies) >= 3 and currencies["JPY"] > 3


def standing(rig: SystemRig) -> list[UpstreamInvoice]:
    """All invoices but those of which only the deletion is known."""
    rows = (row for row in everything(rig) if isinstance(row, UpstreamInvoice))
    return [row for row in rows if row.state is not InvoiceState.DELETED]


def _changes(rig: SystemRig, cursor: str) -> dict[str, UpstreamInvoice]:
    """What a reading of changes brings, the last word on each."""
    return {row.remote_id: row for row in _invoices(read_on(rig.system, rig.access, Kind.INVOICE, cursor))}


def test_changes_made_by_hand_are_read(rig: SystemRig, taken: Taken) -> None:
    if rig.system.manifest.capabilities.delta == "none":
        pytest.skip(f"{rig.system.manifest.title} tells no changes (delta='none').")
    access = rig.access
    read = read_on(rig.system, access, Kind.INVOICE, rig.system.first_cursor(access, Kind.INVOICE, None))
    cursor = read[-1][1].next
    (edited,), (voided,) = taken.invoices(), taken.invoices()
    made = rig.create(edited, "12.34")
    rig.edit(edited.remote_id)
    rig.void(voided.remote_id)
    changed = _changes(rig, cursor)
    assert changed[made].total == changed[made].balance and changed[made].state is InvoiceState.OPEN
    assert changed[edited.remote_id].version != edited.version
    assert changed[voided.remote_id].state is InvoiceState.VOID and changed[voided.remote_id].balance == 0
    assert changed[made] == rig.system.invoice(access, made)


def test_a_deletion_by_hand_is_read_as_the_manifest_promises(rig: SystemRig, taken: Taken) -> None:
    deletes = rig.system.manifest.capabilities.deletes
    if deletes not in ("flag", "void_status"):
        pytest.skip(f"{rig.system.manifest.title} does not tell deletions (deletes={deletes!r}).")
    access = rig.access
    (like,) = taken.invoices()
    read = read_on(rig.system, access, Kind.INVOICE, rig.system.first_cursor(access, Kind.INVOICE, None))
    deleted = rig.delete(like)
    found = _changes(rig, read[-1][1].next)[deleted]
    assert found.state is InvoiceState.DELETED
    with pytest.raises(Gone):
        one = rig.system.invoice(access, deleted)
        if one.state is InvoiceState.DELETED:
            raise Gone("It is said to be deleted.")


def test_nothing_new_is_a_short_answer_and_goes_on_for_ever(rig: SystemRig) -> None:
    access = rig.access
    read = read_on(rig.system, access, Kind.INVOICE, rig.system.first_cursor(access, Kind.INVOICE, None))
    cursor = read[-1][1].next
    for _ in range(3):
        again = read_on(rig.fresh(), access, Kind.INVOICE, cursor)
        assert len(again) <= 2 and not again[-1][1].unreadable
        cursor = again[-1][1].next


def test_every_kind_the_manifest_names_can_be_read(rig: SystemRig) -> None:
    reads = rig.system.manifest.capabilities.reads
    assert set(reads) <= {kind.value for kind in Kind} and "invoice" in reads and "customer" in reads
    for name in reads:
        rows = everything(rig, Kind(name))
        assert rows, name
        ids = [row.remote_id for row in rows]
        assert len(ids) == len(set(ids)), name


def test_customers_carry_what_a_mail_needs(rig: SystemRig) -> None:
    customers = [row for row in everything(rig, Kind.CUSTOMER) if isinstance(row, UpstreamCustomer)]
    addresses = [row.email for row in customers if row.email]
    assert len(addresses) > 10 and all("@" in address for address in addresses)
    known = {row.remote_id for row in customers}
    assert all(row.customer in known for row in standing(rig))


def test_the_history_start_is_kept(rig: SystemRig) -> None:
    start = date(2026, 9, 1)
    access = rig.access
    read = read_on(rig.system, access, Kind.INVOICE, rig.system.first_cursor(access, Kind.INVOICE, start))
    rows = [row for row in _invoices(read) if row.state is not InvoiceState.DELETED]
    assert rows and all(row.issue_date is not None and row.issue_date >= start for row in rows)
    assert len(rows) < len(everything(rig))


def test_a_dry_run_counts_and_writes_nothing(rig: SystemRig) -> None:
    before = (list(rig.books()), list(rig.payments()))
    survey = rig.system.survey(rig.access, None)
    assert survey.organisation and survey.lines and all(line.number >= 0 for line in survey.lines)
    assert any("nvoice" in line.what and line.number >= len(rig.books()) // 2 for line in survey.lines)
    assert (list(rig.books()), list(rig.payments())) == before


def test_what_does_not_exist_is_gone(rig: SystemRig) -> None:
    for remote_id in ("999999999", "00000000-0000-4000-8000-000000000000", "../1", "1 OR 1=1"):
        with pytest.raises(Gone):
            rig.system.invoice(rig.access, remote_id)


def test_the_pdf_is_a_pdf(rig: SystemRig) -> None:
    if not rig.system.manifest.capabilities.pdf:
        pytest.skip(f"{rig.system.manifest.title} hands out no PDF (pdf=False).")
    row = next(row for row in everything(rig) if isinstance(row, UpstreamInvoice) and row.balance)
    assert rig.system.invoice_pdf(rig.access, row.remote_id).startswith(b"%PDF")
    with pytest.raises(Gone):
        rig.system.invoice_pdf(rig.access, "999999999")


def test_accounts_to_deposit_to_are_named(rig: SystemRig) -> None:
    accounts = rig.system.accounts(rig.access)
    assert accounts and all(row.remote_id and row.name for row in accounts)
    assert len({row.remote_id for row in accounts}) == len(accounts)
