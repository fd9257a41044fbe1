"""What can be set about the sandbox gateway."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

DAY_SECONDS = 24 * 60 * 60


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """One merchant account at the sandbox gateway; times in seconds of the virtual clock.

    `signing_time` stamps webhook signatures. It is the real time, not the virtual one: the receiver compares the
    stamp with its own clock, and a virtual clock three days ahead must not make every webhook look forged.
    """

    api_key: str = "demo-key-sandbox"
    webhook_secret: str = "demo-webhook-sandbox"  # noqa: S105 - the published secret of a demo account
    webhook_url: str | None = None
    merchant_name: str = "Demo merchant"
    checkout_lifetime: int = 30 * 60
    bank_debit_settles_after: int = 3 * DAY_SECONDS
    bank_debit_returns_after: int = 3 * DAY_SECONDS
    late_return_after: int = 30 * DAY_SECONDS
    bank_refund_settles_after: int = 2 * DAY_SECONDS
    idempotency_key_lifetime: int = DAY_SECONDS
    tick_interval: float = 0.5
    signing_time: Callable[[], float] = time.time
