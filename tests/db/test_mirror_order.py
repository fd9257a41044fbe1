"""Two who write the same invoices at once never wait for each other in a circle."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.bound import Bound
from connector.db.mirror import Mirror
from connector.db.vault import Vault
from connector.domain.records import InvoiceState, Kind, UpstreamInvoice
from tests.db.conftest import NOW

ROUNDS = 30


def invoice(remote_id: str) -> UpstreamInvoice:
    return UpstreamInvoice(
        kind=Kind.INVOICE,
        remote_id=remote_id,
        number=remote_id,
        state=InvoiceState.OPEN,
        customer="1",
        issue_date=None,
        due_date=None,
        currency="USD",
        total=100,
        tax=0,
        balance=100,
        memo="",
        reference="",
        theme="",
        emailed=False,
        version="0",
        updated_at=NOW,
        lines=(),
    )


def test_invoices_written_in_opposite_orders_end_in_no_deadlock(
    engine: sa.Engine, merchants: tuple[int, int], connection_id: int
) -> None:
    forth = [invoice(str(number)) for number in range(60)]
    start = threading.Barrier(2)
    faults: list[Exception] = []

    def write(records: Sequence[UpstreamInvoice]) -> None:
        vault = Vault((("test", bytes(32)),))
        start.wait()
        try:
            for _ in range(ROUNDS):
                with engine.begin() as connection:
                    Mirror(Bound(connection, merchants[0], vault, NOW, writing=True)).put_invoices(
                        connection_id, records
                    )
        except sa.exc.OperationalError as fault:
            faults.append(fault)

    writers = [threading.Thread(target=write, args=(records,)) for records in (forth, forth[::-1])]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert not faults
    with engine.begin() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(t.invoices)).scalar_one() == len(forth)
