"""QuickBooks, Xero, the gateway, the small systems and a mail server in a process of their own, which nobody kills.

`python -m tests.faults.upstreams DIRECTORY`: prints its address and the mail server's port, and serves until its
standard input ends. Every simulator keeps its append-only log in DIRECTORY.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.middleware.dispatcher import DispatcherMiddleware

from connector.demo.processes import free_ports
from integrations.gateways.sandbox.simulator.settings import SandboxSettings
from integrations.simulator.application import Upstreams, make_upstreams
from integrations.simulator.mailbox import Mailbox, create_mailbox_page
from integrations.simulator.server import serve_at
from integrations.simulator.store import Store
from integrations.systems.quickbooks.simulator import QuickBooksSettings
from integrations.systems.quickbooks.simulator.settings import CompanyFile
from integrations.systems.xero.simulator import XeroConfig
from tests.weakbooks.simulator import WeakUpstreams

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SECOND_COMPANY = "9341453000000202"
_PLENTY = 1_000_000
_INVOICES = 1000
_XERO_INVOICES = 500
# Of the company that is connected and disconnected again and again.
_FEW = 12


class _Busy:
    """How many calls are being answered."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._calls = 0

    def __enter__(self) -> None:
        with self._changed:
            self._calls += 1

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._calls -= 1
            self._changed.notify_all()

    def wait_until_idle(self) -> None:
        """Return when no call is being answered; what a process sent before it died has come to its end then."""
        with self._changed:
            self._changed.wait_for(lambda: self._calls == 0, timeout=30)


def main(directory: Path) -> None:
    """Serve until nobody needs it any more."""
    made: list[Upstreams] = []
    busy = _Busy()
    (mail_port,) = free_ports(1)
    mail_store = Store(directory / "mail.sqlite")

    def build(url: str) -> WSGIApplication:
        upstreams = make_upstreams(
            directory,
            public_url=url,
            quickbooks_settings=QuickBooksSettings(
                companies=(
                    CompanyFile("9341453000000101", "Northwind IT & Design", _INVOICES),
                    CompanyFile(SECOND_COMPANY, "Southwind Repairs", _FEW),
                ),
                calls_per_second=_PLENTY,
                calls_per_minute=_PLENTY,
            ),
            xero_config=XeroConfig(minute_limit=_PLENTY, day_limit=_PLENTY, app_minute_limit=_PLENTY),
            # The harness moves the product's clock and the simulators' together, so stamps are told by the latter.
            xero_invoices=_XERO_INVOICES,
            sandbox_settings=SandboxSettings(tick_interval=0.05, signing_time=lambda: made[0].clock.time()),
        )
        made.append(upstreams)
        weak = WeakUpstreams(directory)
        others = DispatcherMiddleware(upstreams, {"/mailbox": create_mailbox_page(mail_store)})

        def whole(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            path = environ["PATH_INFO"]
            if path == "/idle":
                busy.wait_until_idle()
                start_response("204 No Content", [])
                return []
            weakly = path.startswith(("/weak_", "/_control/"))
            with busy:
                return list((weak if weakly else others)(environ, start_response))

        return whole

    mailbox = Mailbox(mail_store, mail_port)
    with serve_at(build) as server:
        print(server.url, mail_port, flush=True)
        sys.stdin.read()
    made[0].close()
    mailbox.close()
    mail_store.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
