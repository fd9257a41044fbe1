"""What Xero's refusals mean: of a whole call (4xx) and of one element inside a call that went well (HTTP 200).

Sources: developer.xero.com/documentation/api/accounting/responsecodes, Xero's OpenAPI 16.1 (Error, ValidationError).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import requests

from connector.contract import Answer, Disconnected, Refused, Unclear
from integrations.http import current_call
from integrations.outcomes import from_status, lost
from integrations.systems.xero.mapping import decode

TITLE = "Xero"
_LONGEST = 500


def judge(response: requests.Response) -> Answer:
    """What an answer outside 2xx means.

    Xero answers 404 with a line of text/html; any other web page comes from something between Xero and us.
    """
    if "html" in response.headers.get("Content-Type", "").lower() and response.status_code != 404:
        return lost(TITLE, current_call(), "answered with a web page instead of data")
    body = _body(response)
    words, status = told(body), response.status_code
    if status == 403 and body.get("Detail") == "AuthenticationUnsuccessful":
        # A tenant that was disconnected inside Xero answers so, while the token itself is still good.
        return Disconnected("Xero says this organisation is no longer connected to us. Connect again.")
    if status == 400 and _key_reused(words):
        return Unclear("Xero has seen this idempotency key with another request. Look the payment up first.")
    if status == 400 and words:
        return Refused(with_advice(words), code_of(words))
    return from_status(TITLE, status, words)


def refused_element(element: Mapping[str, Any]) -> Refused | None:
    """The refusal inside an element of a 200: `summarizeErrors=false` reports each record's fate in the record."""
    flagged = element.get("HasValidationErrors") is True or element.get("StatusAttributeString") == "ERROR"
    words = _messages(element)
    if not flagged and not words:
        return None
    words = words or "Xero refused the record without saying why."
    return Refused(with_advice(words), code_of(words))


def told(body: Mapping[str, Any]) -> str:
    """Xero's own words: the validation messages of all elements, else the general message."""
    elements = body.get("Elements")
    found = (
        [_messages(element) for element in elements if isinstance(element, dict)] if isinstance(elements, list) else []
    )
    words = " ".join(dict.fromkeys(text for text in found if text))
    return (words or str(body.get("Message") or body.get("Detail") or ""))[:_LONGEST]


def code_of(words: str) -> str:
    """A stable name for the refusals the product acts upon; 'validation' for all others."""
    low = words.lower()
    if "lock date" in low or "locked" in low:
        return "lock_date"
    if "exceeds the amount outstanding" in low:
        return "overpaid"
    if "reconciled" in low:
        return "reconciled"
    if "batch" in low:
        return "batch"
    return "validation"


def with_advice(words: str) -> str:
    """Xero's words, and what the merchant can do where we know it."""
    advice = {
        "lock_date": "The books are locked for this date: unlock the period in Xero, or record it in an open period.",
        "overpaid": "The invoice has less outstanding in Xero than was paid; check which payment settled it.",
        "reconciled": "It is reconciled with a bank line: undo the reconciliation in Xero first.",
        "batch": "It belongs to a batch payment, which can be undone in Xero only as a whole.",
    }.get(code_of(words))
    return f"{words} {advice}" if advice else words


def _messages(element: Mapping[str, Any]) -> str:
    errors = element.get("ValidationErrors")
    if not isinstance(errors, list):
        return ""
    texts = (str(error.get("Message") or "").strip() for error in errors if isinstance(error, dict))
    return " ".join(dict.fromkeys(text if text.endswith(".") else f"{text}." for text in texts if text))[:_LONGEST]


def _key_reused(words: str) -> bool:
    return "idempotency" in words.lower().replace("-", "")


def _body(response: requests.Response) -> Mapping[str, Any]:
    try:
        body = decode(response.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
