"""QuickBooks, Xero, the gateway and the mail server in a process of their own, which nobody kills.

`python -m tests.soak.upstreams PORT MAIL_PORT DIRECTORY PRODUCT_URL INVOICES`: the same simulators as
`duebridge simulate`, with banks that need seconds instead of days and call limits that do not slow a soak down.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from integrations.gateways.sandbox.simulator.settings import SandboxSettings
from integrations.simulator.application import make_upstreams
from integrations.simulator.mailbox import Mailbox
from integrations.simulator.server import serve
from integrations.simulator.store import Store
from integrations.systems.quickbooks.simulator import QuickBooksSettings
from integrations.systems.quickbooks.simulator.settings import CompanyFile
from integrations.systems.xero.simulator import XeroConfig

REALM = "9341453000000101"
_PLENTY = 10_000_000


def main(port: int, mail_port: int, directory: Path, product_url: str, invoices: int) -> None:
    """Serve until told to stop."""
    directory.mkdir(parents=True, exist_ok=True)
    upstreams = make_upstreams(
        directory,
        public_url=f"http://127.0.0.1:{port}",
        webhook_targets={name: f"{product_url}/webhooks/{name}" for name in ("quickbooks", "xero", "sandbox")},
        quickbooks_settings=QuickBooksSettings(
            companies=(CompanyFile(REALM, "Northwind IT & Design", invoices),),
            calls_per_second=_PLENTY,
            calls_per_minute=_PLENTY,
            batches_per_minute=_PLENTY,
        ),
        xero_config=XeroConfig(minute_limit=_PLENTY, day_limit=_PLENTY, app_minute_limit=_PLENTY, in_flight_limit=50),
        sandbox_settings=SandboxSettings(
            bank_debit_settles_after=8,
            bank_debit_returns_after=8,
            late_return_after=15,
            bank_refund_settles_after=6,
        ),
        xero_invoices=invoices,
    )
    mail_store = Store(directory / "mail.db")
    mailbox = Mailbox(mail_store, mail_port)
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    with serve(upstreams, port):
        stop.wait()
    upstreams.close()
    mailbox.close()
    mail_store.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
