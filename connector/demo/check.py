"""The main job with no hands: connect, sync, links on invoices, a payment, and books that agree.

It uses only public HTTP: the product's pages and forms, the upstreams' pages, and the gateway's page.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from connector.demo.browser import Browser, PageFault
from connector.demo.merchant import Merchant
from connector.demo.processes import free_ports, running
from connector.demo.surroundings import Surroundings
from connector.demo.upstreams import QUICKBOOKS, XERO, Upstream
from connector.domain.money import parse


def run(directory: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Walk the main job in a fresh database below `directory`; the report, with `ok` only if every step held."""
    directory.mkdir(parents=True, exist_ok=True)
    where = Surroundings(directory, *free_ports(3))
    report: dict[str, Any] = {"ok": False, "systems": {}, "ledger_sum": None, "open_differences": None}
    try:
        with running(where):
            merchant = Merchant(where, Browser())
            say("Signing up, choosing a brand and the sandbox as the way to be paid …")
            merchant.sign_up()
            for upstream in (QUICKBOOKS, XERO):
                say(f"{upstream.title}: connecting, importing, placing links, paying …")
                report["systems"][upstream.name] = _walk(where, merchant, upstream)
            books = merchant.books((QUICKBOOKS, XERO))
            report["ledger_sum"], report["open_differences"] = books["ledger_sum"], books["open_differences"]
            report["ok"] = books == {"ledger_sum": "0", "open_differences": 0} and all(
                _held(part) for part in report["systems"].values()
            )
    except PageFault as fault:
        report["problem"] = str(fault)
    return report


def in_words(report: dict[str, Any]) -> str:
    """The report for a person."""
    if not report["ok"]:
        return f"The main job did not hold: {report.get('problem') or report}"
    lines = [
        f"{name}: {part['invoices']} invoices, {part['links_verified']} links verified, invoice "
        f"{part['paid']['invoice']} paid ({part['paid']['amount']} {part['paid']['currency']})."
        for name, part in report["systems"].items()
    ]
    return "\n".join((*lines, "The books agree, and the ledger sums to zero."))


def _walk(where: Surroundings, merchant: Merchant, upstream: Upstream) -> dict[str, Any]:
    seconds: dict[str, float] = {}
    began = time.monotonic()

    def lap(name: str) -> None:
        nonlocal began
        seconds[name] = round(time.monotonic() - began, 2)
        began = time.monotonic()

    connection = merchant.connect(upstream)
    lap("connect")
    progress = merchant.wait_until_imported(connection)
    lap("import")
    placed = upstream.place_links(where, merchant, connection)
    lap("links")
    customer = Browser()
    verified, payable = upstream.verify_links(where, customer)
    lap("verify")
    paid = upstream.pay(where, customer, payable)
    lap("pay")
    return {
        "connected": True,
        "customers": progress["customers"],
        "invoices": progress["invoices"],
        "links_placed": placed,
        "links_verified": verified,
        "paid": paid,
        "seconds": seconds,
    }


def _held(part: dict[str, Any]) -> bool:
    paid = part["paid"]
    return (
        part["connected"]
        and part["customers"] > 0
        and part["invoices"] > 0
        and part["links_placed"] > 0
        and part["links_verified"] == part["links_placed"]
        and paid["gateway_state"] == "settled"
        and parse(paid["upstream_balance_after"], paid["currency"]).minor == 0
        and paid["upstream_balance_before"] == paid["amount"]
        and bool(paid["upstream_payment_id"])
    )
