"""Mail handed to a real SMTP server, and what its answers mean to us."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from connector.config import Smtp
from connector.contract import Refused, TryAgain, Unclear
from connector.mail import Mailer

NOW = datetime(2026, 11, 22, 16, 30, tzinfo=UTC)
VALUES = {
    "merchant": "Møller & Sønner\r\nBcc: everyone@example.com",
    "code": "204861",
    "url": "https://pay.example.com/portal/sign-in/abc?code=204861",
    "minutes": "10",
    "help": "books@moller.example",
    "colour": "#a01b5e",
}


@dataclass
class Postman:
    """A server-side handler: keeps what arrives and answers as told."""

    recipient_answer: str = "250 OK"
    data_answer: str = "250 OK"
    break_off: bool = False
    messages: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.break_off:
            server.transport.close()
            return "250 never arrives"
        if self.data_answer.startswith("250"):
            self.recipients += envelope.rcpt_tos
            self.messages.append(message_from_bytes(envelope.content, policy=policy.default))
        return self.data_answer


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def serve() -> Iterator[Callable[..., Mailer]]:
    """Start a server with this handler; a Mailer that speaks to it."""
    with ExitStack() as running:

        def start(handler: Postman, *, smtputf8: bool = False, username: str = "", **more: Any) -> Mailer:
            port = free_port()
            controller = Controller(handler, hostname="127.0.0.1", port=port, enable_SMTPUTF8=smtputf8, **more)
            controller.start()
            running.callback(controller.stop)
            smtp = Smtp(port=port, sender="billing@pay.example.com", username=username, password="a long one")
            return Mailer(smtp, clock=lambda: NOW, timeout=5)

        yield start


def test_the_letter_arrives_as_text_and_html(serve: Callable[..., Mailer]) -> None:
    postman = Postman()
    serve(postman).send("f00d", "anna@customer.example", "sign_in", VALUES)
    (message,) = postman.messages
    assert postman.recipients == ["anna@customer.example"]
    assert message["Subject"] == "Your sign-in code for Møller & Sønner Bcc: everyone@example.com: 204861"
    assert message["Bcc"] is None
    assert message["From"].addresses[0].addr_spec == "billing@pay.example.com"
    assert message["From"].addresses[0].display_name.startswith("Møller & Sønner")
    assert message["Reply-To"] == "books@moller.example"
    assert message["Message-ID"] == "<f00d@pay.example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None and html is not None
    assert "204861" in text.get_content() and VALUES["url"] in text.get_content()
    assert "&amp; Sønner" in html.get_content() and "#a01b5e" in html.get_content()
    assert " style=" not in html.get_content()


@pytest.mark.parametrize(
    ("template", "more"),
    [
        ("invoice_proof", {"invoice": "INV-7"}),
        ("fresh_link", {}),
        (
            "receipt",
            {"amount": "€12.50", "method": "Card", "invoices": "INV-7", "date": "22 Nov 2026", "reference": "P-1"},
        ),
    ],
)
def test_every_template_can_be_sent(serve: Callable[..., Mailer], template: str, more: dict[str, str]) -> None:
    postman = Postman()
    serve(postman).send("1", "anna@customer.example", template, VALUES | more)
    body = postman.messages[0].get_body(("plain",))
    assert body is not None
    for value in more.values():
        assert value in body.get_content() or value in postman.messages[0]["Subject"]


def test_an_international_domain_is_sent_in_ascii(serve: Callable[..., Mailer]) -> None:
    postman = Postman()
    serve(postman).send("1", "anna@bücher.example", "sign_in", VALUES)
    assert postman.recipients == ["anna@xn--bcher-kva.example"]


def test_an_international_mailbox_needs_a_server_that_can(serve: Callable[..., Mailer]) -> None:
    with pytest.raises(Refused, match="such characters"):
        serve(Postman()).send("1", "jürgen@example.com", "sign_in", VALUES)
    postman = Postman()
    serve(postman, smtputf8=True).send("1", "jürgen@example.com", "sign_in", VALUES)
    assert postman.recipients == ["jürgen@example.com"]


@pytest.mark.parametrize(
    "address", ["", "anna", "@example.com", "anna@", "a b@example.com", "a@x.com,b@x.com", "a\n@x.com"]
)
def test_what_is_no_address_is_refused_before_any_connection(address: str) -> None:
    with pytest.raises(Refused, match="not an e-mail address"):
        Mailer(Smtp(port=1)).send("1", address, "sign_in", VALUES)


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"recipient_answer": "550 no such user"}, Refused),
        ({"recipient_answer": "451 greylisted"}, TryAgain),
        ({"data_answer": "554 spam"}, Refused),
        ({"data_answer": "452 mailbox full"}, TryAgain),
        ({"break_off": True}, Unclear),
    ],
)
def test_answers_of_the_server(
    serve: Callable[..., Mailer], answers: dict[str, Any], expected: type[Exception]
) -> None:
    postman = Postman(**answers)
    with pytest.raises(expected):
        serve(postman).send("1", "anna@customer.example", "sign_in", VALUES)
    assert postman.messages == []


def test_nobody_listening_is_try_again() -> None:
    with pytest.raises(TryAgain, match="cannot be reached"):
        Mailer(Smtp(port=free_port())).send("1", "anna@customer.example", "sign_in", VALUES)


def test_wrong_credentials_wait_for_the_operator(serve: Callable[..., Mailer]) -> None:
    def refuse(*_: Any) -> AuthResult:
        return AuthResult(success=False, handled=False)

    mailer = serve(Postman(), username="us", authenticator=refuse, auth_require_tls=False)
    with pytest.raises(TryAgain, match="user name and password") as caught:
        mailer.send("1", "anna@customer.example", "sign_in", VALUES)
    assert caught.value.after >= 300
    assert "a long one" not in repr(mailer) + str(caught.value)


def test_a_server_without_starttls_is_never_spoken_to_in_the_clear(serve: Callable[..., Mailer]) -> None:
    postman = Postman()
    plain = serve(postman)
    mailer = Mailer(Smtp(port=plain.smtp.port, security="starttls"), timeout=5)
    with pytest.raises(TryAgain, match="no safe connection"):
        mailer.send("1", "anna@customer.example", "sign_in", VALUES)
    assert postman.messages == []


def test_an_unknown_letter_or_a_missing_value_is_refused() -> None:
    with pytest.raises(Refused, match="no mail called"):
        Mailer(Smtp(port=1)).send("1", "anna@customer.example", "dunning", VALUES)
    with pytest.raises(Refused, match="needs a value for code"):
        Mailer(Smtp(port=1)).send("1", "a@b.example", "sign_in", {k: v for k, v in VALUES.items() if k != "code"})
