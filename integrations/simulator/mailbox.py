"""A real SMTP server that keeps what it is given, and a page on which a person reads it."""

from __future__ import annotations

import html
from email import message_from_bytes
from email.policy import default
from typing import cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask, Response, jsonify

from integrations.simulator.store import Store


class Mailbox:
    """Takes every mail for anybody. `port` must be free; close() ends the server."""

    def __init__(self, store: Store, port: int) -> None:
        self._store = store
        self._controller = Controller(self, hostname="127.0.0.1", port=port, enable_SMTPUTF8=True)
        self._controller.start()

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep one mail. Called by the SMTP server."""
        message = message_from_bytes(cast(bytes, envelope.content), policy=default)
        text = message.get_body(("plain",))
        number = f"{self._store.count('mail') + 1:06d}"
        document = {
            "id": number,
            "to": list(envelope.rcpt_tos),
            "from": str(message["From"]),
            "subject": str(message["Subject"]),
            "text": text.get_content() if text is not None else "",
        }
        self._store.put("mail", number, document)
        return "250 Kept"

    def close(self) -> None:
        """Stop listening."""
        self._controller.stop()


def create_mailbox_page(store: Store) -> Flask:
    """The mails received, newest first: a page at /, JSON at /mails."""
    app = Flask("integrations.simulator.mailbox")

    @app.get("/")
    def page() -> Response:
        rows = "".join(
            f"<article><h2>{html.escape(mail['subject'])}</h2><p>To {html.escape(', '.join(mail['to']))}</p>"
            f"<pre>{html.escape(mail['text'])}</pre></article>"
            for mail in reversed(store.all("mail"))
        )
        body = rows or "<p>No mail yet. Ask for a sign-in code and it arrives here.</p>"
        return Response(
            f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
            f"<title>Mailbox</title><h1>Mailbox</h1>{body}</html>"
        )

    @app.get("/mails")
    def mails() -> Response:
        return jsonify(list(reversed(store.all("mail"))))

    return app
