"""QuickBooks' Faults turned into answers, wherever they stand: a 4xx, a 401 in other spelling, inside HTTP 200.

Codes: developer.intuit.com, "Error codes"; 610, 2010, 2030, 3200, 4001, 5010, 6000 and 6240 as recorded from a sandbox.
"""

from __future__ import annotations

from typing import Any

import msgspec
import requests

from connector.contract import Answer, Disconnected, Gone, Refused, Stale, TryAgain
from integrations.outcomes import THROTTLED_SECONDS, Call, from_status, lost

TITLE = "QuickBooks"
_STALE = "5010"
_GONE = "610"
_THROTTLED = "3001"
_PERIOD_CLOSED = "6210"
_NO_PERMISSION = frozenset({"120", "403", "5020"})
_ACCESS_ENDED = frozenset({"3100", "3200", "3201", "3202"})
_LONGEST = 240
_LARGE = 100_000


def check(call: Call, response: requests.Response) -> None:
    """Raise what a response says in place of a result. A fault inside HTTP 200 counts as one."""
    if 200 <= response.status_code < 300:
        # What is large holds records; the mapping of pages looks for faults itself.
        body = response.content
        if call.expects == "json" and len(body) < _LARGE and b'ault"' in body and (fault := _fault_in(body)):
            raise answer(call, fault, 200)
        return
    raise answer(call, _fault_in(response.content), response.status_code)


def from_raw(call: Call, fault: bytes) -> Answer:
    """The answer for a fault found by the mapping of a page."""
    try:
        found = msgspec.json.decode(fault)
    except msgspec.MsgspecError:
        found = None
    return answer(call, found if isinstance(found, dict) else None, 200)


def answer(call: Call, fault: dict[str, Any] | None, status: int) -> Answer:
    """The answer for a fault (either spelling) and its HTTP status."""
    code, message, detail = _told(fault)
    if status == 404 and not code:
        return Gone("QuickBooks no longer has this record.")
    if code in _ACCESS_ENDED:
        return Disconnected("QuickBooks no longer accepts our access. Connect again.")
    if code == _THROTTLED:
        return TryAgain("QuickBooks asked us to slow down.", THROTTLED_SECONDS)
    if code == _STALE:
        return Stale("The record has been changed in QuickBooks meanwhile.")
    if code == _GONE and not call.writes:
        return Gone("QuickBooks no longer has this record.")
    if code.isdigit() and int(code) >= 10000:
        return lost(TITLE, call, "had a fault of its own")
    return _refused(code, message, detail, status)


def _refused(code: str, message: str, detail: str, status: int) -> Answer:
    words = f"{message} {detail}".lower()
    if code == _PERIOD_CLOSED or ("period" in words and "clos" in words) or "books are closed" in words:
        return Refused(
            "QuickBooks refuses changes before the closing date of its books. "
            "Open the period in QuickBooks (Account and settings, Advanced) or choose a later date.",
            code or "closed_period",
        )
    if code in _NO_PERMISSION or (status == 403 and not code):
        return Refused(
            "The QuickBooks user who made the connection may not do this. Connect again as an administrator.",
            code or str(status),
        )
    if not code and not message:
        return from_status(TITLE, status, "")
    told = " ".join(f"{message.rstrip('. ')}. {detail}".split())
    return Refused(f"QuickBooks refused this: {told[:_LONGEST].rstrip()}", code or str(status))


def _told(fault: dict[str, Any] | None) -> tuple[str, str, str]:
    """Code, message and detail of the first error; any of them may be missing."""
    errors = (fault or {}).get("Error") or (fault or {}).get("error")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}

    def text(*names: str) -> str:
        return next((str(first[name]) for name in names if first.get(name)), "")

    return text("code", "Code").lstrip("0"), text("Message", "message"), text("Detail", "detail")


def _fault_in(body: bytes) -> dict[str, Any] | None:
    """The first fault of an answer: at its top, or inside the items of a batch or a change answer."""
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return _search(found, 4) if isinstance(found, dict) else None


def _search(found: dict[str, Any], depth: int) -> dict[str, Any] | None:
    for name in ("Fault", "fault"):
        if isinstance(found.get(name), dict):
            return dict(found[name])
    for name in ("BatchItemResponse", "AttachableResponse", "CDCResponse"):
        items = found.get(name)
        for item in items if isinstance(items, list) and depth else ():
            inner = _search(item, depth - 1) if isinstance(item, dict) else None
            if inner:
                return inner
    return None
