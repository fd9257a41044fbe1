"""`duebridge demo`: everything started, an account to sign in with, and what to open."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from connector.demo.browser import Browser
from connector.demo.processes import running
from connector.demo.surroundings import Surroundings

EMAIL = "demo@duebridge.example"
PASSWORD = "pay-online-2026"  # noqa: S105 - printed for everybody to see
COMPANY = "Northwind IT & Design"


def run(port: int, directory: Path, say: Callable[[str], None]) -> None:
    """Start the demonstration in `directory` and run until Ctrl-C or until one of its processes ends."""
    directory.mkdir(parents=True, exist_ok=True)
    where = Surroundings(directory, port, port + 1, port + 2)
    first = not (directory / "duebridge.db").exists()
    say(f"Starting the product and its little upstreams (logs and data in {directory}) …")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with running(where) as processes:
            if first:
                _sign_up(where)
            _explain(where, say)
            _wait(processes)
            say("A process ended by itself; stopping the others. Its log says why.")
    except KeyboardInterrupt:
        say("Stopped. Everything is kept; `make demo` goes on from here.")


def _sign_up(where: Surroundings) -> None:
    browser = Browser()
    page = browser.get(f"{where.public_url}/sign-up")
    browser.submit(page, "/sign-up", company=COMPANY, name="Alex Demo", email=EMAIL, password=PASSWORD)


def _explain(where: Surroundings, say: Callable[[str], None]) -> None:
    upstream = where.upstream_url
    say(
        "\n".join(
            (
                "",
                f"  Open     {where.public_url}",
                f"  Sign in  {EMAIL}  /  {PASSWORD}",
                "",
                "  Then: Connections, connect QuickBooks or Xero, confirm the dry run, and open an invoice's link.",
                "",
                f"  {upstream}/quickbooks/books   the little QuickBooks, with the invoices as customers get them",
                f"  {upstream}/xero/books         the little Xero",
                f"  {upstream}/mailbox/           every mail the product sends",
                f"  {upstream}/                   fault switches and clocks",
                "",
                "  No real money moves and nothing leaves this machine. Ctrl-C stops everything.",
            )
        )
    )


def _wait(processes: list[subprocess.Popen[bytes]]) -> None:
    while all(process.poll() is None for process in processes):
        time.sleep(0.5)
