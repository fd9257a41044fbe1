"""A merchant whose books stand in a simulated QuickBooks in another process, and payments to be written there."""

from __future__ import annotations

import json
import os
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

import sqlalchemy as sa
import structlog
from flask import Flask

from connector.app import HANDLERS, wire
from connector.config import read_settings
from connector.db import tables as t
from connector.db.engine import bind_to_merchant
from connector.domain.payments import PortalScope
from connector.domain.records import GatewayPayment, PaymentState
from connector.jobs.engine import prepare_database
from connector.jobs.runner import run_due
from connector.journeys import connect, reconcile, sign_up
from connector.wiring import Wiring
from integrations.simulator.application import Upstreams
from tests.bench.driving import process, until_it_listens
from tests.bench.product import environment
from tests.bench.surroundings import CannotMeasure, folder, free_port
from tests.walks.world import World


@dataclass
class Books:
    """One merchant, one connection, its open invoices; `environ` is what workers are started with."""

    wiring: Wiring
    environ: dict[str, str]
    merchant_id: int
    connection_id: int
    journal: Path

    def pay(self, number: int) -> str:
        """The gateway reports a payment of an invoice's first cent as settled; the payment's id. The write-back is
        recorded in the transaction that books it."""
        i = t.invoices.c
        with self.wiring.database.reader(self.merchant_id) as reader:
            (row,) = reader.rows(
                sa.select(i.id, i.customer, i.currency)
                .where(i.connection_id == self.connection_id, i.kind == "invoice", i.balance > 1000)
                .order_by(i.id)
                .offset(number)
                .limit(1)
            )
        ref, later = f"co_{uuid.uuid4().hex}", datetime.now(UTC) + timedelta(hours=1)
        with self.wiring.database.unit_of_work(self.merchant_id) as uow:
            made = uow.payments.intend(
                PortalScope(self.merchant_id, self.connection_id, row.customer),
                shares={row.id: 1},
                currency=row.currency,
                gateway="sandbox",
                form_key=ref,
                expires_at=later,
            )
            if made is None:
                raise CannotMeasure("A payment could not be begun.")
            uow.payments.change(made.id, gateway_ref=ref)
        word = GatewayPayment(
            ref, ref, made.id, PaymentState.SETTLED, 1, row.currency, 0, False, "Card", "", datetime.now(UTC)
        )
        reconcile.book(self.wiring, self.merchant_id, made.id, word)
        return made.id

    def payable(self) -> int:
        """How many invoices can be paid."""
        i = t.invoices.c
        with self.wiring.database.reader(self.merchant_id) as reader:
            (row,) = reader.rows(
                sa.select(sa.func.count().label("number")).where(
                    i.connection_id == self.connection_id, i.kind == "invoice", i.balance > 1000
                )
            )
        return int(row.number)

    def waits(self, payments: list[str]) -> dict[str, float]:
        """Seconds from the work's recording until its payment stood in the books, for those that stand there."""
        p, w = t.postings.c, t.work.c
        identity = sa.literal(f"write_back:{self.merchant_id}:") + p.payment_id + f":{self.connection_id}"
        statement = (
            sa.select(p.payment_id, p.changed_at, w.created_at)
            .join(t.work, w.id == identity)
            .where(p.state == "posted", p.payment_id.in_(payments))
        )
        with self.wiring.database.engine.connect().execution_options(read_only=True) as reading, reading.begin():
            bind_to_merchant(reading, None)
            return {
                row.payment_id: (row.changed_at - row.created_at).total_seconds() for row in reading.execute(statement)
            }

    def calls(self) -> Counter[int | None]:
        """Calls to the books so far, by their status."""
        lines = map(json.loads, self.journal.read_text(encoding="utf-8").splitlines())
        return Counter(line["status"] for line in lines if line["entry"] == "request")


@contextmanager
def books(database_url: str, *, invoices: int, limits: str) -> Iterator[Books]:
    """Sign up, consent at the simulator's own pages, read everything; the limits of the product agree with its."""
    port, place = free_port(), folder() / "out" / f"books-{uuid.uuid4().hex[:8]}"
    place.mkdir()
    log = place / "upstream.log"
    command = [sys.executable, "-m", "tests.bench.books_upstream", str(port), str(place), str(invoices), limits]
    url = f"http://127.0.0.1:{port}"
    theirs = {
        f"DUEBRIDGE_QUICKBOOKS_{name}_URL": f"{url}/quickbooks{path}"
        for name, path in (
            ("AUTHORIZE", "/connect/oauth2"), ("TOKEN", "/oauth2/v1/tokens/bearer"),
            ("REVOKE", "/v2/oauth2/tokens/revoke"), ("API", ""),
        )
    }  # fmt: skip
    environ = {
        **environment(database_url), **theirs, "OAUTHLIB_INSECURE_TRANSPORT": "1", "DUEBRIDGE_LOG_LEVEL": "warning",
    }  # fmt: skip
    if limits == "none":
        environ["DUEBRIDGE_QUICKBOOKS_RATE"] = "100000/60"
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(30))
    prepare_database(database_url)
    with process(command, environ, log) as started:
        until_it_listens(port, started, log)
        reading = wire(read_settings(environ), dispatch=lambda connection, item, delay: None)
        sign_up.run(
            reading, company="Northwind", name="Alex", email="alex@northwind.example", password="a long password"
        )
        with reading.database.lookup() as everybody:
            staff = everybody.staff("alex@northwind.example")
        assert staff is not None
        here = World(reading, cast(Flask, None), cast(Upstreams, None), "http://127.0.0.1:9", url, staff[1])
        connection_id = here.connect("quickbooks", confirm=False)
        with reading.database.view(staff[1]) as view:
            account = sorted(view.connections.account_ids(connection_id))[0]
        connect.confirm(
            reading, staff[1], connection_id, history_start=None, deposit_account=account, place_links=False, user_id=1
        )
        run_due(reading, HANDLERS)
        reading.database.engine.dispose()
        wiring = wire(read_settings(environ))
        yield Books(wiring, environ, staff[1], connection_id, place / "quickbooks.jsonl")
        wiring.database.engine.dispose()
