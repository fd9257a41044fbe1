"""Which records must stand in a system's books, and under which keys."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connector.domain.postings import WHOLE, Part, parts, posting_key

allocations = st.lists(
    st.tuples(st.uuids().map(str), st.integers(0, 10**9)), max_size=10, unique_by=lambda share: share[0]
)


@given(allocations, st.booleans())
def test_parts_hold_every_share_once(shares: list[tuple[str, int]], multi_invoice: bool) -> None:
    made = parts(shares, multi_invoice=multi_invoice)
    kept = [share for share in shares if share[1]]
    assert [share for part in made for share in part.allocations] == kept
    assert sum(part.amount for part in made) == sum(share for _, share in shares)
    assert len({part.part for part in made}) == len(made)
    if multi_invoice:
        assert len(made) == bool(kept) and all(part.part == WHOLE for part in made)
    else:
        assert all(part == Part(part.part, ((part.part, part.amount),)) for part in made)


keys = st.tuples(st.integers(1, 10**6), st.uuids().map(lambda u: u.hex), st.uuids().map(str), st.integers(1, 50))


@given(keys, keys)
def test_a_key_is_32_hex_digits_of_what_it_stands_for(
    one: tuple[int, str, str, int], other: tuple[int, str, str, int]
) -> None:
    assert re.fullmatch(r"[0-9a-f]{32}", posting_key(*one))
    assert (posting_key(*one) == posting_key(*other)) == (one == other)


def test_keys_never_change() -> None:
    """They stand in merchants' books: another spelling of the same four would record every payment again."""
    assert posting_key(1, "a" * 32, WHOLE, 1) == "ed8529ec134ae60f9b3b599834b1dad0"


@pytest.mark.parametrize(
    ("first", "second"), [((1, "1x", "y", 1), (11, "x", "y", 1)), ((1, "p", "x", 11), (1, "p", "x1", 1))]
)
def test_neighbours_are_kept_apart(first: tuple[int, str, str, int], second: tuple[int, str, str, int]) -> None:
    assert posting_key(*first) != posting_key(*second)
