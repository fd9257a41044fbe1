"""Hands mail to the configured SMTP server, once a call."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NoReturn

from connector.checkpoints import passing
from connector.config import Smtp
from connector.contract import Refused, TryAgain, Unclear
from connector.mail.letters import UnknownLetter, message_of, one_line, write_letter

_TIMEOUT = 20.0
_LATER = 60.0
# Wrong credentials or certificates wait for the operator, so asking often is of no use.
_MUCH_LATER = 600.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Mailer:
    """Sends one mail a call through `smtp`; connects anew each time, so that nothing is kept between calls."""

    smtp: Smtp
    clock: Callable[[], datetime] = _utc_now
    timeout: float = _TIMEOUT

    def send(self, mail_id: str, recipient: str, template: str, values: Mapping[str, str]) -> None:
        """Write the letter and hand it to the server.

        Raises TryAgain (nothing left), Refused (this address or mail will never be taken), Unclear (the connection
        broke after the text was sent: it may have left; the same `mail_id` gives the same Message-ID).
        """
        try:
            letter = write_letter(template, values)
        except UnknownLetter as fault:
            raise Refused(str(fault)) from fault
        address = _envelope_address(recipient)
        message = message_of(letter, mail_id=mail_id, sender=self.smtp.sender, recipient=address, now=self.clock())
        server = self._connect()
        try:
            with passing("mail.send"):
                self._hand_over(server, address, message.as_bytes())
        finally:
            # How the goodbye goes changes nothing about the mail.
            with suppress(OSError, smtplib.SMTPException):
                server.quit()
            server.close()

    def greet(self) -> None:
        """Connect, encrypt and sign in as before a mail, and leave again. Raises TryAgain."""
        server = self._connect()
        with suppress(OSError, smtplib.SMTPException):
            server.quit()
        server.close()

    def _connect(self) -> smtplib.SMTP:
        try:
            if self.smtp.security == "tls":
                server: smtplib.SMTP = smtplib.SMTP_SSL(
                    self.smtp.host, self.smtp.port, timeout=self.timeout, context=ssl.create_default_context()
                )
            else:
                server = smtplib.SMTP(self.smtp.host, self.smtp.port, timeout=self.timeout)
        except ssl.SSLError as fault:
            raise TryAgain("The mail server's certificate could not be checked.", _MUCH_LATER) from fault
        except (OSError, smtplib.SMTPException) as fault:
            raise TryAgain("The mail server cannot be reached.", _LATER) from fault
        try:
            self._introduce(server)
        except BaseException:
            server.close()
            raise
        return server

    def _introduce(self, server: smtplib.SMTP) -> None:
        try:
            if self.smtp.security == "starttls":
                server.starttls(context=ssl.create_default_context())
            server.ehlo_or_helo_if_needed()
            if self.smtp.username:
                server.login(self.smtp.username, self.smtp.password)
        except smtplib.SMTPAuthenticationError as fault:
            raise TryAgain("The mail server does not accept our user name and password.", _MUCH_LATER) from fault
        except (ssl.SSLError, smtplib.SMTPNotSupportedError) as fault:
            raise TryAgain("The mail server offers no safe connection as configured.", _MUCH_LATER) from fault
        except (OSError, smtplib.SMTPException) as fault:
            raise TryAgain("The mail server broke off before the mail was sent.", _LATER) from fault

    def _hand_over(self, server: smtplib.SMTP, recipient: str, message: bytes) -> None:
        options = []
        if not recipient.isascii():
            if not server.has_extn("smtputf8"):
                raise Refused("The mail server cannot send to an address with such characters.")
            options = ["SMTPUTF8", "BODY=8BITMIME"]
        try:
            _expect(*server.mail(self.smtp.sender, options), "The mail server refused the sender")
            _expect(*server.rcpt(recipient), "The mail server refused the recipient")
        except (OSError, smtplib.SMTPException) as fault:
            raise TryAgain("The mail server broke off before the mail was sent.", _LATER) from fault
        try:
            code, words = server.data(message)
        except smtplib.SMTPDataError as fault:
            _refuse(fault.smtp_code, _bytes(fault.smtp_error), "The mail server refused the mail")
        except (OSError, smtplib.SMTPException) as fault:
            raise Unclear("The mail server broke off while taking the mail; it may have been sent.") from fault
        _expect(code, words, "The mail server refused the mail")


def _expect(code: int, words: bytes, what: str) -> None:
    if not 200 <= code < 300:
        _refuse(code, words, what)


def _refuse(code: int, words: bytes, what: str) -> NoReturn:
    """4xx answers are passing, 5xx final (source: RFC 5321 section 4.2.1)."""
    said = one_line(words.decode("utf-8", "replace"))[:200]
    sentence = f"{what}: {code} {said}".rstrip()
    if 500 <= code < 600:
        raise Refused(sentence, str(code))
    raise TryAgain(sentence, _LATER)


def _bytes(words: bytes | str) -> bytes:
    return words if isinstance(words, bytes) else words.encode()


def _envelope_address(recipient: str) -> str:
    """The address as the server is told it: an international domain in its ASCII form. Raises Refused."""
    local, at, domain = recipient.rpartition("@")
    if not at or not local or not domain or one_line(recipient) != recipient or any(c in recipient for c in ' <>,;"'):
        raise Refused("This is not an e-mail address.")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError as fault:
        raise Refused("This is not an e-mail address: its domain cannot be read.") from fault
