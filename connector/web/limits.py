"""Limits for doors that can be knocked at by anybody: sign-in, codes, template links."""

from __future__ import annotations

import hashlib
import math

from flask import request

from connector.errors import TooMany
from connector.web.context import wiring


def hold(door: str, who: str, *, limit: int, period: float) -> None:
    """Allow `who` at `door` `limit` tries at once, and as many again over each `period` seconds, evenly: whoever was
    stopped waits `period / limit` for the next. Raises TooMany; shared by all processes.

    `who` (an address, an e-mail) is stored only as a hash.
    """
    key = f"door:{door}:{hashlib.sha256(who.encode()).hexdigest()[:32]}"
    # The most a period can see: what may come at once, and what has come back meanwhile.
    wait = wiring().limiter.reserve(key, limit=2 * limit, period=period, burst=limit)
    if wait > 0:
        raise TooMany(f"Too many tries. Please wait {wait_words(wait)} and try again.", retry_after=math.ceil(wait))


def hold_caller(door: str, *, limit: int, period: float) -> None:
    """The same for the address the request comes from."""
    hold(door, request.remote_addr or "unknown", limit=limit, period=period)


def wait_words(seconds: float) -> str:
    """'20 seconds', '3 minutes'."""
    if seconds <= 90:
        return f"{max(1, math.ceil(seconds))} seconds"
    return f"{math.ceil(seconds / 60)} minutes"
