"""What may be done with a posting: the whole table, and histories of lost calls against a system of each kind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.postings import PostingState
from connector.domain.resending import Seen, Step, SystemMemory, next_step, only_a_person_knows

Kind = Literal["native_key", "unique_field", "natural", "search", "none"]
KINDS: tuple[Kind, ...] = get_args(Kind)
IN_FLIGHT = 35.0
SENT = PostingState.SENDING

kinds = st.sampled_from(KINDS)
ages = st.none() | st.floats(-100_000, 100_000)


def memory(kind: Kind, **more: float | bool) -> SystemMemory:
    return SystemMemory(kind, **{"key_seconds": 600.0 if kind == "native_key" else 0.0, **more})  # type: ignore[arg-type]


def step(
    kind: Kind, seen: Seen, seconds_since_sent: float | None = 60.0, *, refused: bool = False, **more: float | bool
) -> Step:
    return next_step(
        SENT,
        seconds_since_sent=seconds_since_sent,
        refused=refused,
        in_flight_seconds=IN_FLIGHT,
        memory=memory(kind, **more),
        seen=seen,
    )


@given(kinds, ages, st.booleans(), st.sampled_from(Seen))
def test_what_was_never_sent_is_checked_and_sent(kind: Kind, ago: float | None, refused: bool, seen: Seen) -> None:
    found = next_step(
        PostingState.QUEUED,
        seconds_since_sent=ago,
        refused=refused,
        in_flight_seconds=IN_FLIGHT,
        memory=memory(kind),
        seen=seen,
    )
    assert found is Step.CHECK_AND_SEND


@given(kinds, st.floats(-100_000, 34.9), st.booleans(), st.sampled_from(Seen))
def test_nothing_is_concluded_while_a_call_may_still_arrive(kind: Kind, ago: float, refused: bool, seen: Seen) -> None:
    assert step(kind, seen, ago, refused=refused) is Step.WAIT
    assert step(kind, seen, ago + 60, refused=refused, lag_seconds=60.0) is Step.WAIT


@given(kinds, ages, st.booleans(), st.sampled_from(Seen), st.booleans())
def test_nothing_goes_out_again_without_a_look_up_that_found_nothing(
    kind: Kind, ago: float | None, refused: bool, seen: Seen, keeps: bool
) -> None:
    found = step(kind, seen, ago, refused=refused, keeps_errors=keeps)
    if found in (Step.SEND_AGAIN, Step.SEND_ANEW):
        assert seen is Seen.ABSENT and kind != "none"
        assert ago is None or ago >= IN_FLIGHT


@given(ages, st.booleans(), st.sampled_from(Seen))
def test_a_system_that_cannot_be_asked_is_never_sent_to_twice(ago: float | None, refused: bool, seen: Seen) -> None:
    assert step("none", seen, ago, refused=refused) in (Step.WAIT, Step.ASK_WHETHER_IT_STANDS)


@pytest.mark.parametrize("kind", ["native_key", "unique_field", "natural", "search"])
def test_what_stands_is_adopted_and_what_was_deleted_is_asked_about(kind: Kind) -> None:
    assert step(kind, Seen.NOT_ASKED) is Step.LOOK_UP
    assert step(kind, Seen.STANDING) is Step.ADOPT
    assert step(kind, Seen.TAKEN_BACK) is Step.ASK_WHY_DELETED


def test_a_key_is_used_again_only_while_it_is_remembered_and_remembers_nothing_bad() -> None:
    assert step("native_key", Seen.ABSENT, 60.0) is Step.SEND_AGAIN
    assert step("native_key", Seen.ABSENT, 564.9) is Step.SEND_AGAIN
    assert step("native_key", Seen.ABSENT, 565.0) is Step.SEND_ANEW
    assert step("native_key", Seen.ABSENT, 60.0, keeps_errors=True) is Step.SEND_ANEW
    assert step("native_key", Seen.ABSENT, 60.0, refused=True) is Step.SEND_ANEW
    for kind in ("unique_field", "natural", "search"):
        assert step(kind, Seen.ABSENT, 1e6, refused=True) is Step.SEND_AGAIN


@pytest.mark.parametrize("kind", ["native_key", "unique_field", "natural", "search"])
def test_after_a_restore_the_next_generation_is_looked_for(kind: Kind) -> None:
    assert step(kind, Seen.ABSENT, None) is Step.SEND_ANEW


@pytest.mark.parametrize("state", [state for state in PostingState if state not in ("queued", "sending")])
def test_nothing_else_is_to_be_sent(state: PostingState) -> None:
    with pytest.raises(ValueError, match="not to be sent"):
        next_step(
            state,
            seconds_since_sent=60.0,
            refused=False,
            in_flight_seconds=IN_FLIGHT,
            memory=memory("search"),
            seen=Seen.ABSENT,
        )


def test_only_a_person_knows_of_what_went_out_to_a_system_that_cannot_be_asked() -> None:
    review = PostingState.NEEDS_REVIEW
    assert only_a_person_knows(review, sent=True, remote_id="", memory=memory("none"))
    assert not only_a_person_knows(review, sent=False, remote_id="", memory=memory("none"))
    assert not only_a_person_knows(review, sent=True, remote_id="p1", memory=memory("none"))
    assert not only_a_person_knows(review, sent=True, remote_id="", memory=memory("search"))
    assert not only_a_person_knows(SENT, sent=True, remote_id="", memory=memory("none"))


@dataclass
class Upstream:
    """A system of one kind in miniature; calls may arrive late, but never later than IN_FLIGHT after being sent."""

    kind: Kind
    standing: list[str] = field(default_factory=list)
    keys: dict[str, float] = field(default_factory=dict)

    def arrive(self, key: str, now: float) -> None:
        known = key in self.standing
        if self.kind in ("unique_field", "natural") and known:
            return
        if self.kind == "native_key":
            if key in self.keys and now - self.keys[key] < 600.0:
                return
            self.keys[key] = now
        self.standing.append(key)


calls = st.tuples(
    st.sampled_from(["answered", "lost before", "lost after"]), st.floats(0, IN_FLIGHT - 0.1), st.floats(0.5, 2000)
)


@given(kinds, st.lists(calls, min_size=1, max_size=12))
def test_whatever_is_lost_it_stands_once_or_a_person_is_asked(
    kind: Kind, history: list[tuple[str, float, float]]
) -> None:
    upstream, on_their_way = Upstream(kind), list[tuple[float, str]]()
    state, sent_at, generation, now = PostingState.QUEUED, None, 1, 0.0
    posted = asked = False
    for fate, delay, pause in [*history, ("answered", 0.0, 100.0), ("answered", 0.0, 1.0), ("answered", 0.0, 1.0)]:
        if posted or asked:
            break
        now += pause
        for moment, key in [one for one in on_their_way if one[0] <= now]:
            upstream.arrive(key, moment)
            on_their_way.remove((moment, key))
        key, seen = f"key {generation}", Seen.NOT_ASKED
        while True:
            ago = None if sent_at is None else now - sent_at
            found = next_step(
                state,
                seconds_since_sent=ago,
                refused=False,
                in_flight_seconds=IN_FLIGHT,
                memory=memory(kind),
                seen=seen,
            )
            if found is not Step.LOOK_UP:
                break
            seen = Seen.STANDING if key in upstream.standing else Seen.ABSENT
        match found:
            case Step.ADOPT:
                posted = True
            case Step.ASK_WHETHER_IT_STANDS:
                asked = True
            case Step.SEND_ANEW:
                generation, state, sent_at = generation + 1, PostingState.QUEUED, None
            case Step.CHECK_AND_SEND | Step.SEND_AGAIN:
                state, sent_at = PostingState.SENDING, now
                if fate == "answered":
                    upstream.arrive(key, now)
                    posted = True
                elif fate == "lost after":
                    on_their_way.append((now + delay, key))
    for moment, key in on_their_way:
        upstream.arrive(key, moment)
    assert len(upstream.standing) <= 1, "never twice"
    assert asked or upstream.standing, "never lost"
    assert posted is not asked
    assert not asked or kind == "none"
