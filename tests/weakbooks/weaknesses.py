"""Which weakness a small billing system has, and the name it is known by in settings, addresses and tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from connector.manifest import Idempotency

IDEMPOTENCY_KINDS: tuple[Idempotency, ...] = get_args(Idempotency)
_PREFIX, _PARTS = "weak_", "_parts"


@dataclass(frozen=True, slots=True)
class Weakness:
    """How a system treats the same payment sent twice, and whether one payment may settle several invoices."""

    kind: Idempotency
    multi_invoice: bool = True

    @property
    def name(self) -> str:
        """For example weak_search, or weak_search_parts where a payment settles one invoice only."""
        return f"{_PREFIX}{self.kind}{'' if self.multi_invoice else _PARTS}"


def weakness_of(name: str) -> Weakness | None:
    """The weakness a name stands for; None for a name of something else."""
    if not name.startswith(_PREFIX):
        return None
    multi_invoice = not name.endswith(_PARTS)
    kind = name.removeprefix(_PREFIX).removesuffix(_PARTS)
    return next((Weakness(known, multi_invoice) for known in IDEMPOTENCY_KINDS if known == kind), None)


ALL = tuple(Weakness(kind, multi_invoice) for kind in IDEMPOTENCY_KINDS for multi_invoice in (True, False))
