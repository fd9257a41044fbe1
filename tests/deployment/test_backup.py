"""A backup put back later: nothing that was sent in between goes out twice, and work goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import sqlalchemy as sa

from connector.app import HANDLERS
from connector.contract import TryAgain
from connector.db import tables as t
from connector.db.backup import BackupFailed, back_up, put_back
from connector.db.engine import database_url, make_engine
from connector.db.rows import InvoiceRow
from connector.db.work import WorkItem
from connector.domain.money import minor_to_text
from connector.domain.postings import PostingState
from connector.domain.records import PaymentState
from connector.domain.work import Work
from connector.jobs.runner import run_due
from connector.journeys import restored
from connector.wiring import Wiring
from tests.postgres_server import embedded_binaries
from tests.walks.world import World, world


def _programs(address: str) -> Path | None:
    """Where pg_dump of the tests' server is; the system's own may be older than that server."""
    return embedded_binaries() if address.startswith("postgresql") else None


def _destroy(address: str) -> None:
    """What a lost disk leaves: nothing."""
    url = database_url(address)
    if url.get_backend_name() == "sqlite":
        for suffix in ("", "-wal", "-shm"):
            Path(f"{url.database}{suffix}").unlink(missing_ok=True)
        return
    engine = make_engine(address)
    with engine.begin() as connection:
        connection.execute(sa.text("DROP SCHEMA public CASCADE"))
        connection.execute(sa.text("CREATE SCHEMA public"))
    engine.dispose()


def _rows(address: str) -> dict[str, int]:
    engine = make_engine(address)
    with engine.connect() as connection:
        counts = {
            table.name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in t.metadata.sorted_tables
        }
    engine.dispose()
    return counts


def _open(here: World, connection: int, system: str) -> list[InvoiceRow]:
    """Invoices of ours with something due, whoever's they are."""
    with here.wiring.database.view(here.merchant_id) as view:
        found = [
            view.invoices.by_remote(connection, row["id"]) for row in here.books(system)["invoices"] if row["open"]
        ]
    return [row for row in found if row is not None and row.balance > 1]


def _half(here: World, invoice: InvoiceRow, name: str) -> str:
    """Start to pay half of an invoice, so that its balance would allow a second half; the gateway's page."""
    half = minor_to_text(invoice.balance // 2, invoice.currency)
    return here.start_payment([invoice], {invoice.id: half}, name)


def _later(wiring: Wiring, item: WorkItem) -> None:
    raise TryAgain("The books are not reachable just now.", after=5.0)


def _settle_unposted(here: World, name: str) -> None:
    """Let the money arrive, and nothing be written back."""
    with patch.dict(HANDLERS, {Work.WRITE_BACK: _later}):
        here.settle(lambda: here.state_of(name) is PaymentState.SETTLED, seconds=60)
    assert {posting.state for posting in here.postings(_payment(here, name))} == {PostingState.QUEUED}


def _payment(here: World, name: str) -> str:
    with here.wiring.database.view(here.merchant_id) as view:
        found = view.payments.by_form(name)
    assert found is not None
    return found.id


def _standing(here: World, name: str) -> set[PostingState]:
    return {posting.state for posting in here.postings(_payment(here, name))} - {PostingState.SUPERSEDED}


def _in_the_books(here: World, system: str) -> Mapping[str, list[str]]:
    """Payments of ours upstream, by the payment named in their note."""
    ours: dict[str, list[str]] = {}
    for row in here.books(system)["payments"]:
        for payment in here.payments():
            if any(posting.key in row["note"] for posting in here.postings(payment.id)):
                ours.setdefault(payment.id, []).append(row["id"])
    return ours


class _WebProcess:
    """Stands before an application, so that it can be stopped: what is under way is finished, what comes is turned
    away as a proxy does."""

    def __init__(self, here: World) -> None:
        self._serve, self._engine = here.app.wsgi_app, here.wiring.database.engine
        self._idle, self._under_way, self._down = threading.Condition(), 0, False
        here.app.wsgi_app = self  # type: ignore[method-assign]

    def __call__(self, environ: Any, start_response: Any) -> Any:
        with self._idle:
            if self._down:
                start_response("502 Bad Gateway", [("Content-Length", "0")])
                return []
            self._under_way += 1
        try:
            return self._serve(environ, start_response)
        finally:
            with self._idle:
                self._under_way -= 1
                self._idle.notify_all()

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Nothing is served and no connection is open inside the block."""
        with self._idle:
            self._down = True
            assert self._idle.wait_for(lambda: not self._under_way, timeout=60)
        self._engine.dispose()
        yield
        with self._idle:
            self._down = False


@pytest.mark.parametrize("system", ["quickbooks", "xero"])
def test_what_was_sent_after_the_backup_is_found_and_adopted(schema_url: str, system: str, tmp_path: Path) -> None:
    file = tmp_path / "duebridge.backup"
    with world(schema_url) as here:
        web = _WebProcess(here)
        connection = here.connect(system)
        here.work()
        invoices = _open(here, connection, system)
        whole, halves = invoices[0], dict(zip(("posted", "queued", "open", "anew"), invoices[1:5], strict=True))
        pages = {name: _half(here, invoice, name) for name, invoice in halves.items()}
        here.press(pages["posted"])
        here.settle(lambda: _has(here, "posted", PostingState.POSTED), seconds=60)
        for name in ("queued", "anew"):
            here.press(pages[name])
            _settle_unposted(here, name)

        back_up(schema_url, file, programs=_programs(schema_url))

        # A call that certainly did nothing: its part goes out again, where needed under the next generation's key.
        here.fault(system, "error_before_commit", "payment.create")
        here.press(pages["open"])
        here.settle(lambda: all(_has(here, name, PostingState.POSTED) for name in halves), seconds=60)
        late = here.start_payment([whole], form_key="late")
        here.press(late)
        here.settle(lambda: _has(here, "late", PostingState.POSTED), seconds=60)
        before = here.books(system)["payments"]

        with web.stopped():
            _destroy(schema_url)
            put_back(schema_url, file, programs=_programs(schema_url))
            doubts = restored.run(here.wiring)
        assert (doubts.merchants, doubts.postings) == (1, 2)

        here.settle(lambda: all(_has(here, name, PostingState.POSTED) for name in halves), seconds=60)
        assert {_state(here, name) for name in halves} == {PaymentState.SETTLED}
        assert here.books(system)["payments"] == before, "nothing was sent a second time"
        ours = _in_the_books(here, system)
        assert {len(ids) for ids in ours.values()} == {1} and len(ours) == len(halves)
        assert here.ledger_is_zero()
        # The payment the backup knows nothing of stands in the books: its invoice is read as paid and cannot be paid.
        here.advance(60)
        with here.wiring.database.unit_of_work(here.merchant_id) as uow:
            uow.work.add(Work.SYNC, str(connection), partition=str(connection), payload={"connection": connection})
        here.work()
        with here.wiring.database.view(here.merchant_id) as view:
            read = view.invoices.by_remote(connection, whole.remote_id)
        assert read is not None and read.balance == 0
        # And work goes on.
        rest = here.start_payment([invoices[5]], form_key="next")
        here.press(rest)
        here.settle(lambda: _has(here, "next", PostingState.POSTED), seconds=60)
        assert len(here.books(system)["payments"]) == len(before) + 1


def _state(here: World, name: str) -> PaymentState:
    return here.state_of(name)


def _has(here: World, name: str, state: PostingState) -> bool:
    return _standing(here, name) == {state}


def test_a_backup_holds_every_row_and_replaces_no_file(schema_url: str, tmp_path: Path) -> None:
    file = tmp_path / "duebridge.backup"
    with world(schema_url, invoices=5) as here:
        here.connect("quickbooks")
        run_due(here.wiring, HANDLERS)
        counted = _rows(schema_url)
        size = back_up(schema_url, file, programs=_programs(schema_url))
    assert counted["invoices"] >= 5 and counted["work"] and size == file.stat().st_size > 10_000
    assert file.stat().st_mode & 0o077 == 0, "others may not read it"
    with pytest.raises(BackupFailed, match="is there already"):
        back_up(schema_url, file, programs=_programs(schema_url))
    with pytest.raises(BackupFailed, match="already"):
        put_back(schema_url, file, programs=_programs(schema_url))
    _destroy(schema_url)
    put_back(schema_url, file, programs=_programs(schema_url))
    assert _rows(schema_url) == counted
    assert not list(tmp_path.glob("*.part"))
