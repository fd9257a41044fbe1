"""Limits of a tenant: a minute, a day, five at once; every answer says what is left."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integrations.systems.xero.simulator.driving import Running


def test_the_vendors_figures_are_the_default(start: Callable[..., Running]) -> None:
    app = start(invoices=5, minute_limit=60, day_limit=5_000).connect()
    headers = app.call("GET", "Organisation").headers
    assert headers["X-MinLimit-Remaining"] == "59"
    assert headers["X-DayLimit-Remaining"] == "4999"
    assert headers["X-AppMinLimit-Remaining"] == "9999"


def test_the_minute_is_up(start: Callable[..., Running]) -> None:
    app = start(invoices=5, minute_limit=3).connect()
    assert [app.call("GET", "Organisation").headers["X-MinLimit-Remaining"] for _ in range(3)] == ["2", "1", "0"]
    answer = app.call("GET", "Organisation")
    assert answer.status_code == 429
    assert answer.headers["X-Rate-Limit-Problem"] == "minute"
    assert 55 <= int(answer.headers["Retry-After"]) <= 60
    assert answer.headers["X-MinLimit-Remaining"] == "0"
    app.xero.clock.advance(int(answer.headers["Retry-After"]))
    assert app.call("GET", "Organisation").status_code == 200


def test_the_day_is_up(start: Callable[..., Running]) -> None:
    app = start(invoices=5, day_limit=2).connect()
    app.call("GET", "Organisation")
    app.xero.clock.advance(60)
    assert app.call("GET", "Organisation").headers["X-DayLimit-Remaining"] == "0"
    answer = app.call("GET", "Organisation")
    assert (answer.status_code, answer.headers["X-Rate-Limit-Problem"]) == (429, "day")
    assert 86_300 <= int(answer.headers["Retry-After"]) <= 86_340
    app.xero.clock.advance(86_340)
    app.tokens = app.xero.token(grant_type="refresh_token", refresh_token=app.tokens["refresh_token"]).json()
    assert app.call("GET", "Organisation").status_code == 200


def test_tenants_do_not_share(start: Callable[..., Running]) -> None:
    xero = start(invoices=5, minute_limit=1)
    app = xero.connect(xero.tenants())
    assert app.call("GET", "Organisation").status_code == 200
    assert app.call("GET", "Organisation").status_code == 429
    app.tenant = xero.tenants()[1]
    assert app.call("GET", "Organisation").status_code == 200


def test_the_app_as_a_whole_is_limited(start: Callable[..., Running]) -> None:
    xero = start(invoices=5, app_minute_limit=1)
    app = xero.connect(xero.tenants())
    assert app.call("GET", "Organisation").headers["X-AppMinLimit-Remaining"] == "0"
    app.tenant = xero.tenants()[1]
    answer = app.call("GET", "Organisation")
    assert (answer.status_code, answer.headers["X-Rate-Limit-Problem"]) == (429, "appminute")


def test_five_at_once(start: Callable[..., Running]) -> None:
    app = start(invoices=5).connect()
    app.xero.faults.arm("slow", "organisation.read", times=5, seconds=1.0)
    with ThreadPoolExecutor(7) as pool:
        answers = list(pool.map(lambda _: app.call("GET", "Organisation"), range(7)))
    refused = [answer for answer in answers if answer.status_code == 429]
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 2
    assert {answer.headers["X-Rate-Limit-Problem"] for answer in refused} == {"concurrent"}
    assert all("Retry-After" not in answer.headers for answer in refused)
    assert app.call("GET", "Organisation").status_code == 200


@pytest.mark.parametrize(("problem", "seconds"), [("minute", 7), ("day", 3600)])
def test_a_storm_on_request(start: Callable[..., Running], problem: str, seconds: int) -> None:
    app = start(invoices=5).connect()
    app.xero.control("faults", {"kind": "throttle", "times": 2, "seconds": seconds, "problem": problem})
    for _ in range(2):
        answer = app.call("GET", "Organisation")
        assert answer.status_code == 429
        assert answer.headers["Retry-After"] == str(seconds)
        assert answer.headers["X-Rate-Limit-Problem"] == problem
    assert app.call("GET", "Organisation").status_code == 200
