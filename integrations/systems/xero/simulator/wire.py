"""How Xero writes things down: its two date forms, exact amounts, the envelope around every answer, JSON or XML."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

from flask import Response

from connector.domain.money import NotMoney, decimal_to_minor, exponent
from integrations.simulator.store import to_json
from integrations.systems.xero.simulator.problems import Refused, bad_query

_WIRE_DATE = re.compile(r"/Date\((-?\d{1,15})(?:[+-]\d{4})?\)/", re.ASCII)
_PLAIN_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?", re.ASCII)
_MODIFIED = re.compile(r"\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}:\d{2}(?:\.\d{1,7})?(?:Z|[+-]\d{2}:\d{2})?)?", re.ASCII)


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since the epoch."""
    return int(moment.timestamp() * 1000)


def stamp(ms: int) -> str:
    """A moment as `UpdatedDateUTC` carries it."""
    return f"/Date({ms}+0000)/"


def stamp_text(ms: int) -> str:
    """A moment as `UpdatedDateUTCString` carries it."""
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")


def day_stamp(day: str) -> str:
    """An ISO date as the midnight `/Date(ms+0000)/` Xero sends."""
    return stamp(milliseconds(datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)))


def day_text(day: str) -> str:
    """An ISO date as `DateString` carries it."""
    return f"{day}T00:00:00"


def read_day(value: object, field: str) -> str:
    """The ISO date in a request: `2026-11-22`, `2026-11-22T00:00:00` or `/Date(ms)/`. Raises Refused."""
    text = value if isinstance(value, str) else ""
    try:
        if found := _WIRE_DATE.fullmatch(text):
            return datetime.fromtimestamp(int(found[1]) / 1000, UTC).date().isoformat()
        if _PLAIN_DATE.match(text):
            return date.fromisoformat(text[:10]).isoformat()
    except (ValueError, OverflowError, OSError):
        pass
    raise Refused(f"{field} is not a valid date")


def read_modified_since(text: str) -> int:
    """Milliseconds of an `If-Modified-Since` header in UTC; ISO with seconds only, RFC 1123 is refused with 400."""
    if not _MODIFIED.fullmatch(text):
        raise bad_query(f"If-Modified-Since must look like 2026-11-22T00:00:00, not {text[:40]!r}")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as problem:
        raise bad_query(f"If-Modified-Since is no date: {problem}") from None
    return milliseconds((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).replace(microsecond=0))


def amount(minor: int, currency: str) -> Decimal:
    """Minor units as the number Xero writes, never with fewer than two decimals: 12000 JPY is `12000.00`."""
    places = exponent(currency)
    value = Decimal(minor).scaleb(-places)
    return value if places >= 2 else value.quantize(Decimal("0.01"))


def number(text: str, places: int) -> Decimal:
    """A quantity, unit price or rate kept as text, shown with so many decimals."""
    return Decimal(text).quantize(Decimal(1).scaleb(-places))


def read_number(value: object, field: str) -> Decimal:
    """An exact number of a request, sent as a JSON number or a numeric string. Raises Refused."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | str):
        raise Refused(f"{field} must be a number")
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        raise Refused(f"{field} must be a number")
    parsed = Decimal(value)
    if not parsed.is_finite() or abs(parsed) >= Decimal(10) ** 12:
        raise Refused(f"{field} is out of range")
    return parsed


def read_amount(value: object, field: str, currency: str) -> int:
    """An amount of a request in minor units; a fraction of a coin is Refused."""
    try:
        return decimal_to_minor(read_number(value, field), currency)
    except NotMoney:
        raise Refused(f"{field} has more decimals than {currency} allows") from None


def envelope(provider: str, ms: int, content: Mapping[str, Any]) -> dict[str, Any]:
    """What stands around every successful answer."""
    return {
        "Id": str(uuid.uuid4()),
        "Status": "OK",
        "ProviderName": provider,
        "DateTimeUTC": f"/Date({ms})/",
        **content,
    }


def respond(body: Mapping[str, Any] | list[Any], accept: str, status: int = 200) -> Response:
    """JSON when the caller asks for it; XML otherwise, which is what Xero's accounting API does by default."""
    if "json" in accept:
        return Response(to_json(body), status, content_type="application/json; charset=utf-8")
    root = "ApiException" if status >= 400 else "Response"
    text = f'<?xml version="1.0" encoding="utf-8"?>\n<{root}>{_xml(body)}</{root}>'
    return Response(text, status, content_type="text/xml; charset=utf-8")


def _xml(value: object, parent: str = "Item") -> str:
    if isinstance(value, Mapping):
        return "".join(f"<{key}>{_xml(item, key)}</{key}>" for key, item in value.items() if item is not None)
    if isinstance(value, list):
        name = parent[:-1] if parent.endswith("s") else parent
        return "".join(f"<{name}>{_xml(item, name)}</{name}>" for item in value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return escape(str(value))
