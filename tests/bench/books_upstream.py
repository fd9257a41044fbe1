"""A QuickBooks of its own process for measurements: `python -m tests.bench.books_upstream PORT FOLDER INVOICES LIMITS`.

LIMITS is `vendor` (500 calls a minute, 10 a second, as Intuit has them) or `none`. Its journal in FOLDER counts calls.
"""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path

from integrations.simulator.application import make_upstreams
from integrations.simulator.server import serve
from integrations.systems.quickbooks.simulator import QuickBooksSettings
from integrations.systems.quickbooks.simulator.settings import CompanyFile

_REALM = "9341453000000101"
_PLENTY = 10_000_000


def main(port: int, folder: Path, invoices: int, limits: str) -> None:
    """Serve until told to stop."""
    companies = (CompanyFile(_REALM, "Northwind IT & Design", invoices),)
    settings = QuickBooksSettings(companies=companies)
    if limits == "none":
        settings = QuickBooksSettings(
            companies=companies, calls_per_second=_PLENTY, calls_per_minute=_PLENTY, batches_per_minute=_PLENTY
        )
    upstreams = make_upstreams(
        folder, public_url=f"http://127.0.0.1:{port}", webhook_targets={}, quickbooks_settings=settings
    )
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    with serve(upstreams, port):
        stop.wait()
    upstreams.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
