"""Postings: what must stand in a system's books for one payment, and under which key."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

WHOLE = "all"


class PostingState(StrEnum):
    """`SENDING` is written before the call; only a look-up leaves it when the answer was lost."""

    QUEUED = "queued"
    SENDING = "sending"
    POSTED = "posted"
    NEEDS_REVIEW = "needs_review"
    SUPERSEDED = "superseded"
    REVERSING = "reversing"
    REVERSED = "reversed"


@dataclass(frozen=True, slots=True)
class Part:
    """One record to be made upstream: the whole payment, or one invoice's share of it."""

    part: str
    allocations: tuple[tuple[str, int], ...]

    @property
    def amount(self) -> int:
        """Minor units of the part."""
        return sum(share for _, share in self.allocations)


def parts(allocations: Sequence[tuple[str, int]], *, multi_invoice: bool) -> tuple[Part, ...]:
    """Split a payment into the records a system takes. `allocations` are (invoice remote id, minor units)."""
    kept = tuple((invoice, share) for invoice, share in allocations if share)
    if multi_invoice:
        return (Part(WHOLE, kept),) if kept else ()
    return tuple(Part(invoice, ((invoice, share),)) for invoice, share in kept)


def posting_key(connection_id: int, payment_id: str, part: str, generation: int) -> str:
    """The key that stands upstream: 32 hex digits of connection, payment, part and generation."""
    text = f"{connection_id}\n{payment_id}\n{part}\n{generation}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]
