"""What an audit of the books finds: what is wrong, where, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `rule` is its short name, `ids` the rows concerned; `what` and `do` are sentences.

    `merchant` is None for what belongs to the whole installation.
    """

    rule: str
    merchant: int | None
    what: str
    do: str
    ids: Mapping[str, str | int] = field(default_factory=dict)


# Work is taken up within seconds; what lies this long while it could be done shows that no worker runs.
UNATTENDED_SECONDS = 900.0
START_A_WORKER = "Start a worker (duebridge worker, or serve --embedded), then audit again."
