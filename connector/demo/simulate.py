"""`duebridge simulate`: the little upstreams and the mail server in one process, on loopback only."""

from __future__ import annotations

import threading
from pathlib import Path

from werkzeug.middleware.dispatcher import DispatcherMiddleware


def run(*, port: int, mail_port: int, directory: Path | None, product_url: str, stop: threading.Event) -> None:
    """Serve until `stop` is set. Without a directory nothing is kept."""
    # The product never imports the simulators; this command alone brings them in.
    from integrations.simulator.application import make_upstreams
    from integrations.simulator.mailbox import Mailbox, create_mailbox_page
    from integrations.simulator.server import serve
    from integrations.simulator.store import Store

    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
    address = f"http://127.0.0.1:{port}"
    targets = {name: f"{product_url.rstrip('/')}/webhooks/{name}" for name in ("quickbooks", "xero", "sandbox")}
    upstreams = make_upstreams(directory, public_url=address, webhook_targets=targets)
    mail_store = Store(None if directory is None else directory / "mail.db")
    mailbox = Mailbox(mail_store, mail_port)
    app = DispatcherMiddleware(upstreams, {"/mailbox": create_mailbox_page(mail_store)})
    with serve(app, port):
        stop.wait()
    upstreams.close()
    mailbox.close()
    mail_store.close()
