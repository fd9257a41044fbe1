"""What became of one outgoing call: a failure on the wire or a bad status turned into one of the contract's answers.

The rule behind all of it: only what certainly did not happen is `TryAgain`; a write whose fate is unknown is `Unclear`.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

import requests
from urllib3 import exceptions as wire

from connector.contract import Answer, Gone, Refused, Stale, TryAgain, Unclear

THROTTLED_SECONDS = 60.0
LONGEST_WAIT = 86_400.0


@dataclass(frozen=True, slots=True)
class Call:
    """One outgoing call: what it does, for whom, and what its caller can bear.

    `operation` names it in logs and faults, e.g. 'payment.create'. `writes`: a lost answer leaves the outcome open.
    `patience` is how many seconds it may wait in place for its turn. `expects` is the kind of body a success has.
    `background`: nobody waits for it, so it leaves part of every limit to calls somebody waits for. `tenant`: the
    organisation it is counted for, where that is known before there is a connection; '' counts for the connection.
    """

    operation: str
    connection: str = ""
    writes: bool = False
    patience: float = 1.5
    expects: str = "json"
    background: bool = False
    tenant: str = ""


def lost(title: str, call: Call, what: str) -> Answer:
    """The answer for a call that was sent and whose result is not known."""
    if call.writes:
        return Unclear(f"{title} {what}. It is not known whether the change was made.")
    return TryAgain(f"{title} {what}.")


def not_sent(title: str, what: str, after: float = 60.0) -> TryAgain:
    """The answer for a call that certainly never reached the upstream."""
    return TryAgain(f"{title} {what}.", after)


def from_failure(title: str, call: Call, failure: BaseException) -> Answer:
    """The answer for a failure of requests or urllib3: all but a failed connection may have been sent."""
    if _before_sending(failure):
        return not_sent(title, "cannot be reached at the moment")
    if isinstance(failure, requests.Timeout | wire.TimeoutError):
        return lost(title, call, "did not answer in time")
    return lost(title, call, "broke off the connection before its answer was complete")


def _before_sending(failure: BaseException) -> bool:
    if isinstance(failure, requests.ConnectTimeout | wire.NewConnectionError | wire.ConnectTimeoutError):
        return True
    if isinstance(failure, ssl.SSLCertVerificationError):
        return True
    # Not __context__: an earlier failure the caller is handling says nothing about this call.
    inner = [getattr(failure, "reason", None), *failure.args]
    return any(isinstance(cause, Exception) and _before_sending(cause) for cause in inner)


def retry_after(headers: requests.structures.CaseInsensitiveDict[str], now: float) -> float:
    """Seconds a 429 or 503 asks us to wait: its Retry-After (seconds or a date), else one minute; at most a day.

    `now` is seconds since the epoch. QuickBooks sends no dependable header: its documents say to wait 60 seconds.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(max(float(text), 1.0), LONGEST_WAIT)
    try:
        at = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError):
        return THROTTLED_SECONDS
    return min(max(at - now, 1.0), LONGEST_WAIT)


def from_status(title: str, status: int, why: str, code: str = "") -> Answer:
    """The answer for a 4xx the upstream explained: gone, changed meanwhile, or a plain no with its words."""
    if status in (404, 410):
        return Gone(why or f"{title} no longer has this record.")
    if status in (409, 412):
        return Stale(why or f"{title} says that the record has changed.")
    return Refused(why or f"{title} refused the request (HTTP {status}).", code or str(status))
