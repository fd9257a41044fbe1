"""What may be done with a posting whose call was lost, with a system that treats repetitions in its own way."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, auto
from typing import Literal

from connector.domain.postings import PostingState


class Seen(StrEnum):
    """What a look-up by key showed."""

    NOT_ASKED = auto()
    ABSENT = auto()
    STANDING = auto()
    TAKEN_BACK = auto()


class Step(StrEnum):
    """The only thing that may be done next with a posting that shall stand."""

    # Nothing was ever sent: read its invoices fresh, then send.
    CHECK_AND_SEND = auto()
    WAIT = auto()
    LOOK_UP = auto()
    ADOPT = auto()
    SEND_AGAIN = auto()
    # Under the next generation's key.
    SEND_ANEW = auto()
    # A person decides: it was deleted there by hand, or nobody but a person can find out whether it stands.
    ASK_WHY_DELETED = auto()
    ASK_WHETHER_IT_STANDS = auto()


@dataclass(frozen=True, slots=True)
class SystemMemory:
    """How a system treats a payment that is sent twice.

    native_key: it repeats its first answer for `key_seconds`, `keeps_errors`: refusals and faults as well.
    unique_field: it refuses a key that stands. natural: the key names the record, which is written once more.
    search: it records whatever comes, and can be asked for a key. none: it cannot even be asked.
    `lag_seconds` is how many seconds after being recorded a payment can be found.
    """

    kind: Literal["native_key", "unique_field", "natural", "search", "none"]
    key_seconds: float = 0.0
    keeps_errors: bool = False
    lag_seconds: float = 0.0


def next_step(
    state: PostingState,
    *,
    seconds_since_sent: float | None,
    refused: bool,
    in_flight_seconds: float,
    memory: SystemMemory,
    seen: Seen,
) -> Step:
    """Decide what may be done with a posting that is queued or sending, so that it is recorded once and only once.

    `seconds_since_sent`: since its key last went out, None when that is not known; `refused`: its key was refused
    before; `in_flight_seconds`: after these a lost call can no longer arrive. A look-up proves nothing before they have
    passed, and nothing at all where a system cannot be asked: there an unclear outcome is a person's to clear up.
    """
    if state is PostingState.QUEUED:
        return Step.CHECK_AND_SEND
    if state is not PostingState.SENDING:
        raise ValueError(f"A posting that is {state} is not to be sent.")
    settled = in_flight_seconds + memory.lag_seconds
    # Sent later than now: a clock was set back. Nothing takes longer than being just sent.
    if seconds_since_sent is not None and seconds_since_sent < settled:
        return Step.WAIT
    if memory.kind == "none":
        return Step.ASK_WHETHER_IT_STANDS
    match seen:
        case Seen.NOT_ASKED:
            return Step.LOOK_UP
        case Seen.STANDING:
            return Step.ADOPT
        case Seen.TAKEN_BACK:
            return Step.ASK_WHY_DELETED
        case Seen.ABSENT:
            pass
    if seconds_since_sent is None:
        return Step.SEND_ANEW
    if memory.kind == "native_key":
        # The repetition must arrive while the first answer is still remembered, and that must not be a bad one.
        remembered = seconds_since_sent + in_flight_seconds < memory.key_seconds
        return Step.SEND_AGAIN if remembered and not memory.keeps_errors and not refused else Step.SEND_ANEW
    # The same key: should the lost call arrive after all, one is refused, both are one record, or both are seen.
    return Step.SEND_AGAIN


def only_a_person_knows(state: PostingState, *, sent: bool, remote_id: str, memory: SystemMemory) -> bool:
    """Whether a posting that needs review went out to a system that cannot be asked whether it arrived."""
    return state is PostingState.NEEDS_REVIEW and memory.kind == "none" and sent and not remote_id
