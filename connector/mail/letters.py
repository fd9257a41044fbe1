"""What our mails say: one text and one HTML template each, filled with plain strings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jinja2 import Environment

# Template name -> the values it cannot do without. All may also be given: help (an address to ask), colour (#rrggbb).
LETTERS: Mapping[str, frozenset[str]] = {
    "sign_in": frozenset({"merchant", "code", "url", "minutes"}),
    "invoice_proof": frozenset({"merchant", "code", "url", "invoice", "minutes"}),
    "fresh_link": frozenset({"merchant", "url"}),
    "receipt": frozenset({"merchant", "amount", "method", "invoices", "date", "reference", "url"}),
}
_COLOUR = re.compile(r"#[0-9a-f]{6}", re.ASCII)
_DEFAULT_COLOUR = "#0b5cad"
_BLANKS = re.compile(r"\s+")


class UnknownLetter(ValueError):
    """There is no such mail, or a value it needs is missing; the message says which."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail as the recipient reads it."""

    subject: str
    text: str
    html: str
    sender_name: str
    reply_to: str


@cache
def _templates() -> Environment:
    """Loaded with the first mail, so that commands that send none start sooner."""
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

    return Environment(
        loader=PackageLoader("connector.mail"),
        autoescape=select_autoescape(("html",)),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def write_letter(template: str, values: Mapping[str, str]) -> Letter:
    """Fill a template. Raises UnknownLetter for a name that is none of ours or for missing values."""
    needed = LETTERS.get(template)
    if needed is None:
        raise UnknownLetter(f"There is no mail called {template!r}.")
    missing = sorted(needed - set(values))
    if missing:
        raise UnknownLetter(f"The mail {template!r} needs a value for {', '.join(missing)}.")
    colour = values.get("colour", "").lower()
    filled = {
        "help": "",
        **{name: one_line(value) for name, value in values.items()},
        "colour": colour if _COLOUR.fullmatch(colour) else _DEFAULT_COLOUR,
    }
    text = _templates().get_template(f"mail/{template}.txt").render(filled)
    subject, _, body = text.partition("\n")
    html = _templates().get_template(f"mail/{template}.html").render(filled, subject=subject)
    return Letter(one_line(subject), body.lstrip("\n"), html, filled["merchant"], filled["help"])


def one_line(text: str) -> str:
    """Text fit for a header: control characters and line breaks become single blanks."""
    return _BLANKS.sub(" ", "".join(letter if letter.isprintable() else " " for letter in text)).strip()


def message_of(letter: Letter, *, mail_id: str, sender: str, recipient: str, now: datetime) -> EmailMessage:
    """The letter as a MIME message. `mail_id` makes the Message-ID, so that a mail sent twice is recognised as one."""
    message = EmailMessage(policy=SMTP.clone(utf8=not recipient.isascii()))
    domain = sender.rpartition("@")[2] or "localhost"
    message["From"] = Address(letter.sender_name, addr_spec=sender)
    message["To"] = recipient
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{mail_id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if letter.reply_to and "@" in letter.reply_to:
        message["Reply-To"] = letter.reply_to
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message
