"""The clock is real time plus an offset that only grows."""

from __future__ import annotations

import time
from datetime import UTC

import pytest

from integrations.simulator.clock import Clock


def test_it_tells_real_time_until_it_is_moved() -> None:
    clock = Clock()
    assert abs(clock.time() - time.time()) < 1
    assert clock.now().tzinfo is UTC


def test_it_moves_forward_and_stays_there() -> None:
    clock = Clock()
    clock.advance(86_400)
    clock.advance(0.5)
    assert abs(clock.time() - time.time() - 86_400.5) < 1


def test_it_never_goes_back() -> None:
    clock = Clock()
    with pytest.raises(ValueError, match="only goes forward"):
        clock.advance(-1)
    assert abs(clock.time() - time.time()) < 1
