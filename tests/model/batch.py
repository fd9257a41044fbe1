"""One batch of random walks under one seed, and the words that replay it."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, reproduce_failure, seed, settings
from hypothesis.errors import DidNotReproduce
from hypothesis.stateful import run_state_machine_as_test

from tests.model.books import Books
from tests.model.databases import Fresh
from tests.model.mortal import Mortals

_BLOB = re.compile(r"reproduce_failure\('[^']*', b'([^']*)'\)")


def run_batch(
    fresh: Fresh, mortals: Mortals, counted: Counter[str], *, number: int, examples: int, steps: int, blob: str = ""
) -> None:
    """Walk `examples` times, up to `steps` rules each, adding up in `counted`. Raises what the first failure raised.

    `number` is the seed; `blob`, as a failure printed it, walks that failure alone, and it is well if it fails no more.
    """

    def books() -> Books:
        return Books(fresh, mortals, counted)

    machine: Any = reproduce_failure(hypothesis.__version__, blob.encode())(books) if blob else seed(number)(books)
    with suppress(DidNotReproduce):
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=examples,
                stateful_step_count=steps,
                deadline=None,
                database=None,
                print_blob=True,
                suppress_health_check=list(HealthCheck),
                # A try takes seconds, so a failure is not made smaller: what replays it is printed.
                phases=(Phase.explicit, Phase.generate),
            ),
        )


def blob_of(failure: BaseException) -> str:
    """What replays this failure alone; empty when it carries none."""
    found = _BLOB.search("\n".join(getattr(failure, "__notes__", ())))
    return found.group(1) if found else ""
