"""Places for calls that may still be arriving: taken anew once as many may arrive again."""

from __future__ import annotations

import pytest
import requests
import responses

from connector.contract import TryAgain
from connector.manifest import AdapterConfig, Manifest, RateLimit
from integrations.arrivals import QuickestAnswers
from integrations.http import Session
from tests.integrations.limiters import MemoryLimiter

URL = "https://books.example/v1"
LIMITS = (RateLimit(500, 60.0, 10, in_flight=10, rest=5.0),)


def _session(limiter: MemoryLimiter, limits: tuple[RateLimit, ...], rate: str = "") -> Session:
    manifest = Manifest(
        name="books", title="Books", role="system", auth="oauth_code", endpoints={"api": URL}, limits=limits
    )
    config = AdapterConfig({"api": URL}, {}, (), {"rate": rate} if rate else {})
    return Session(manifest, config, limiter)


def test_a_place_rests_until_as_many_calls_may_arrive_again() -> None:
    limiter = MemoryLimiter()
    session = _session(limiter, LIMITS)
    stretched = 5.0 * 100 / 95
    with responses.RequestsMock() as upstream:
        upstream.add("GET", URL, json={})
        for _ in range(12):
            with session.call("thing.read", connection="c1"):
                session.get(URL)
        # So long as nobody knows how long an answer takes, a call may have arrived just before it.
        assert limiter.rests[:9] == pytest.approx([stretched] * 9)
        assert all(0 < rest < stretched for rest in limiter.rests[9:])
        upstream.replace("GET", URL, body=requests.ConnectionError("reset"))
        with pytest.raises(TryAgain), session.call("thing.read", connection="c1"):
            session.get(URL)
    assert limiter.rests[-1] == pytest.approx(stretched), "of a call without an answer nobody knows when it arrived"


def test_an_operators_rates_stand_for_places_that_rest_as_well() -> None:
    limiter = MemoryLimiter()
    session = _session(limiter, LIMITS, rate="1000/60,20/1")
    with responses.RequestsMock() as upstream, session.call("thing.read", connection="c1"):
        upstream.add("GET", URL, json={})
        session.get(URL)
    assert [row[0] for row in limiter.reserved] == ["books:c1:60", "books:c1:1"] and limiter.rests == []


def test_calls_count_for_the_organisation_where_it_is_known() -> None:
    limiter = MemoryLimiter()
    session = _session(limiter, (RateLimit(60, 60.0, 5), RateLimit(10_000, 60.0, 50, scope="app")))
    with responses.RequestsMock() as upstream:
        upstream.add("GET", URL, json={})
        for connection in ("", "c1"):
            with session.call("thing.read", connection=connection, tenant="t9"):
                session.get(URL)
    assert [row[0] for row in limiter.reserved] == ["books:t9:60", "books:app:60"] * 2


def test_a_call_arrived_at_least_the_quickest_answer_ago() -> None:
    quickest = QuickestAnswers()
    assert [quickest.arrived_before("read", 0.3) for _ in range(9)] == [0.0] * 9, "too few to tell"
    assert quickest.arrived_before("read", 0.9) == 0.3
    assert quickest.arrived_before("write", 0.9) == 0.0
    assert quickest.arrived_before("read", 0.1) == 0.1


def test_what_was_quick_long_ago_is_forgotten() -> None:
    quickest = QuickestAnswers()
    quickest.arrived_before("read", 0.1)
    assert [quickest.arrived_before("read", 0.5) for _ in range(100)][-2:] == [0.1, 0.5]
