"""Xero's vocabulary: states, types, dates and numbers, for both mappings. Pure.

Field names and values are those of Xero's OpenAPI 16.1.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from connector.domain.records import Contact, InvoiceState, Kind, UpstreamInvoice

INVOICE_STATES = {
    "DRAFT": InvoiceState.DRAFT,
    "SUBMITTED": InvoiceState.DRAFT,
    "AUTHORISED": InvoiceState.OPEN,
    "PAID": InvoiceState.PAID,
    "VOIDED": InvoiceState.VOID,
    "DELETED": InvoiceState.DELETED,
}
# An invoiced quote is settled by its invoice, a declined one by the customer's no: neither is open any more.
QUOTE_STATES = {
    "DRAFT": InvoiceState.DRAFT,
    "SENT": InvoiceState.OPEN,
    "ACCEPTED": InvoiceState.OPEN,
    "INVOICED": InvoiceState.PAID,
    "DECLINED": InvoiceState.VOID,
    "DELETED": InvoiceState.DELETED,
}
SALES_TYPES = {Kind.INVOICE: "ACCREC", Kind.CREDIT_NOTE: "ACCRECCREDIT", Kind.RECURRING: "ACCREC"}
CUSTOMER_PAYMENT = "ACCRECPAYMENT"
_UNITS = {"WEEKLY": ("week", "weeks"), "MONTHLY": ("month", "months")}
_ACCOUNT_KINDS = {"BANK": "Bank", "CURRENT": "Current asset", "CURRLIAB": "Current liability"}
_MS_DATE = re.compile(r"/Date\((-?[0-9]{1,15})(?:[+-][0-9]{4})?\)/", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Unmappable(ValueError):
    """The record cannot be told in our words; the message says why, in a sentence for the merchant."""


def instant(text: str) -> datetime:
    """A moment in UTC from '/Date(1539993600000+0000)/' (always UTC, whatever the offset says) or ISO text."""
    found = _MS_DATE.fullmatch(text)
    if found:
        return _EPOCH + timedelta(milliseconds=int(found[1]))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Unmappable(f"Xero sent {text[:40]!r} where a date and time was expected.") from None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def day(text: str) -> date:
    """A calendar day from '2018-10-20T00:00:00', '2018-10-20 00:00:00' or '/Date(…)/', which is midnight UTC."""
    if text.startswith("/"):
        return instant(text).date()
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        raise Unmappable(f"Xero sent {text[:40]!r} where a date was expected.") from None


def version_of(moment: datetime) -> str:
    """A version for an UpdatedDateUTC: milliseconds since the epoch."""
    return str((moment - _EPOCH) // timedelta(milliseconds=1))


def plain(number: Decimal | None) -> str:
    """Plain decimal text without idle zeros: 5.0 -> '5', 12.750 -> '12.75'; nothing for no number."""
    if number is None:
        return ""
    text = str(number)
    if "E" in text:
        text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def phone_text(country: str, area: str, number: str) -> str:
    """One line of a telephone number Xero keeps in three parts."""
    return " ".join(part for part in (country.strip(), area.strip(), number.strip()) if part)


def schedule_text(period: int, unit: str) -> str:
    """A schedule in words: (2, 'WEEKLY') -> 'Every 2 weeks'. A unit not known is shown as it came."""
    one, many = _UNITS.get(unit, (unit.lower(), unit.lower()))
    return f"Every {one}" if period == 1 else f"Every {period} {many}"


def account_kind(kind: str) -> str:
    """An account type as a word for people."""
    return _ACCOUNT_KINDS.get(kind, kind.capitalize())


def fingerprint(*parts: object) -> str:
    """A version for records without an UpdatedDateUTC: a digest of what we keep of them."""
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def wrong_type(kind: Kind, stated: str) -> Unmappable:
    """The cause given for a bill (or a type not known yet) among sales documents."""
    return Unmappable(f"Xero calls it {stated or 'nothing'}; only {SALES_TYPES[kind]} documents are sales.")


def deleted(kind: Kind, remote_id: str, updated: datetime | None) -> UpstreamInvoice:
    """A document that was deleted: only what the contract keeps of it."""
    return UpstreamInvoice(
        kind, remote_id, "", InvoiceState.DELETED, "", None, None, "", 0, 0, 0, "", "", "", False,
        version_of(updated) if updated else "", updated, (),
    )  # fmt: skip


def people(first: str, last: str, email: str, phone: str) -> tuple[Contact, ...]:
    """The contact's primary person, where Xero knows a name or an address."""
    name = full_name(first, last)
    return (Contact(name, email.strip(), phone, True),) if name or email.strip() else ()


def full_name(first: str, last: str) -> str:
    """A person's name from its two parts."""
    return f"{first.strip()} {last.strip()}".strip()
