"""Exactly one effect per idempotency key: the first successful answer is kept and replayed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from integrations.gateways.sandbox.simulator.book import Book, Change
from integrations.gateways.sandbox.simulator.records import Record
from integrations.gateways.sandbox.simulator.refusals import Refusal

LONGEST_KEY = 255


@dataclass(frozen=True)
class Answered(Record):
    """The first answer given for a key; `asked` is the digest of the request it belongs to."""

    kind: ClassVar[str] = "idempotency_key"

    asked: str
    answer: str
    at: int


def once(
    book: Book,
    *,
    operation: str,
    key: str | None,
    asked: Any,
    lifetime: int,
    perform: Callable[[Change], dict[str, Any]],
) -> tuple[str, bool]:
    """The JSON answer, and whether it is a replay. `perform` runs at most once per key, in the key's own transaction.

    A Refusal from `perform` rolls everything back and uses up no key. Raises Refusal 400 without a usable key and 409
    when the key was used for another request; `lifetime` in seconds of the virtual clock.
    """
    if not key or len(key) > LONGEST_KEY:
        message = f"Send the header Idempotency-Key with 1 to {LONGEST_KEY} characters."
        raise Refusal(400, "idempotency_key_required", message)
    digest = hashlib.sha256(json.dumps([operation, asked], sort_keys=True).encode()).hexdigest()
    with book.change(operation, key=key) as change:
        earlier = book.find(Answered, key)
        if earlier is not None and change.now - earlier.at < lifetime:
            if earlier.asked != digest:
                message = "This idempotency key was used for another request; use a new key."
                raise Refusal(409, "idempotency_key_reused", message)
            return earlier.answer, True
        answer = json.dumps(perform(change), ensure_ascii=False)
        change.save(Answered(key, digest, answer, change.now))
        return answer, False
