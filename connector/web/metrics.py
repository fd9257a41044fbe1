"""GET /metrics for Prometheus, behind a token: figures of the whole installation, whichever process answers."""

from __future__ import annotations

import hmac
import threading
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from flask import Blueprint, Response, current_app, request

from connector.db.figures import Figures, Lag, figures
from connector.errors import NotFound
from connector.web.context import wiring

if TYPE_CHECKING:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

blueprint = Blueprint("metrics", __name__)
# Several scrapers, or an impatient one, cost the database no more than one.
KEPT_SECONDS = 2.0
_KEPT = "duebridge-metrics"
_reading = threading.Lock()


@blueprint.get("/metrics")
def metrics() -> Response:
    """The figures, for whoever sends DUEBRIDGE_METRICS_TOKEN as a bearer token; without that setting there are none."""
    token = wiring().settings.metrics_token
    if not token:
        raise NotFound("Metrics are closed: set DUEBRIDGE_METRICS_TOKEN to open them.")
    given = request.headers.get("Authorization", "")
    if not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
        return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
    # Loaded by whoever is asked: most processes never are.
    from prometheus_client import CONTENT_TYPE_LATEST

    return Response(_text(), content_type=CONTENT_TYPE_LATEST)


def _text() -> bytes:
    from prometheus_client import CollectorRegistry, generate_latest

    with _reading:
        kept: tuple[float, bytes] = current_app.extensions.get(_KEPT, (0.0, b""))
        if kept[1] and time.monotonic() - kept[0] < KEPT_SECONDS:
            return kept[1]
        registry = CollectorRegistry()
        parts = wiring()
        registry.register(_Read(figures(parts.database, parts.limits, parts.engine_rows())))
        text = bytes(generate_latest(registry))
        current_app.extensions[_KEPT] = (time.monotonic(), text)
        return text


class _Read:
    """One reading, as the library wants to collect it."""

    def __init__(self, read: Figures) -> None:
        self._read = read

    def collect(self) -> Iterable[Metric]:
        """Every family with its values."""
        return [*_work(self._read), *_lags(self._read), *_limits(self._read), *_workers(self._read)]


def _work(read: Figures) -> Iterator[Metric]:
    rows = _gauge("work", "Pieces of background work that are not done.", ("kind", "state"))
    age = _gauge("work_oldest_due_seconds", "How long the oldest work that is due has waited.", ("kind",))
    for queue in read.queues:
        rows.add_metric([queue.kind, queue.state], queue.number)
        if queue.state == "pending":
            age.add_metric([queue.kind], queue.age)
    attempts = _counter("work_attempts", "Attempts at background work by what they came to.", ("kind", "outcome"))
    seconds = _counter("work_attempt_seconds", "Time these attempts took.", ("kind", "outcome"))
    for tally in read.tallies:
        attempts.add_metric([tally.kind, tally.outcome], tally.attempts)
        seconds.add_metric([tally.kind, tally.outcome], tally.seconds)
    postings = _gauge("postings", "Postings not at rest: what the books shall show and do not yet.", ("state",))
    for state, number in read.postings.items():
        postings.add_metric([state], number)
    yield from (rows, age, attempts, seconds, postings)


def _lags(read: Figures) -> Iterator[Metric]:
    yield from _lag("webhook", "a webhook's arrival to its being acted upon", read.webhooks)
    yield from _lag("write_back", "money received to its standing in the books", read.write_backs)


def _lag(name: str, what: str, lag: Lag) -> Iterator[Metric]:
    quantiles = _gauge(f"{name}_lag_seconds", f"From {what}, of the last five minutes.", ("quantile",))
    for quantile, seconds in lag.quantiles.items():
        quantiles.add_metric([f"{quantile:g}"], seconds)
    waiting = _gauge(f"{name}_waiting", f"How many are on the way from {what}.", ())
    waiting.add_metric([], lag.waiting)
    oldest = _gauge(f"{name}_oldest_waiting_seconds", f"The longest under way from {what}.", ())
    oldest.add_metric([], lag.oldest)
    yield from (quantiles, waiting, oldest)


def _limits(read: Figures) -> Iterator[Metric]:
    labels = ("system", "scope", "seconds")
    left = _gauge("rate_budget_left", "Calls that may go now, on the connection where the fewest are left.", labels)
    most = _gauge("rate_budget", "Calls that may go at once when nothing has been used.", labels)
    for budget in read.budgets:
        names = [budget.system, budget.scope, f"{budget.seconds:g}"]
        left.add_metric(names, budget.left.calls)
        most.add_metric(names, budget.left.of)
    quiet = _gauge("rate_silenced", "Limits that stand still because the upstream asked for it.", ("system",))
    for system, number in read.silenced.items():
        quiet.add_metric([system], number)
    yield from (left, most, quiet)


def _workers(read: Figures) -> Iterator[Metric]:
    ages = _gauge("executor_age_seconds", "Since a worker was last heard of.", ("executor",))
    for executor, age in read.executors.items():
        ages.add_metric([executor], age)
    number = _gauge("executors", "Workers that have not signed off.", ())
    number.add_metric([], len(read.executors))
    rows = _gauge("engine_rows", "The job engine's own rows.", ("status",))
    for status, count in read.engine_rows.items():
        rows.add_metric([status], count)
    yield from (ages, number, rows)


def _gauge(name: str, words: str, labels: tuple[str, ...]) -> GaugeMetricFamily:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(f"duebridge_{name}", words, labels=labels)


def _counter(name: str, words: str, labels: tuple[str, ...]) -> CounterMetricFamily:
    from prometheus_client.core import CounterMetricFamily

    return CounterMetricFamily(f"duebridge_{name}", words, labels=labels)
