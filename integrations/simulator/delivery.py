"""Sends a vendor's signed webhooks: a queue, the vendor's retry schedule on the clock, every attempt recorded."""

from __future__ import annotations

import contextlib
import threading
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import requests

from integrations.simulator.clock import Clock
from integrations.simulator.faults import Faults

_TICK_SECONDS = 0.02
_IDLE_SECONDS = 0.2


@dataclass(frozen=True)
class Attempt:
    """One try of one delivery: the HTTP status (None when there was no answer in time) and how long it took."""

    delivery_id: str
    at: float
    status: int | None
    milliseconds: int
    error: str = ""


@dataclass
class Delivery:
    """One signed body waiting to be accepted; `due` is in seconds of the simulator's clock."""

    body: bytes
    headers: dict[str, str]
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    tries: int = 0
    due: float = 0.0


class WebhookDelivery:
    """Posts deliveries to the target one after another until each is answered 2xx.

    `delays` is the vendor's schedule in seconds after the first, second, ... failure; its last value repeats for ever
    when `repeat_last`, else the delivery is given up. With `in_order` later ones wait until the first is accepted.
    `answer_limit` is how many seconds the target may take. `gather`, when given, is asked on every turn for new
    deliveries, so that a vendor which mixes several changes in one body can collect them first. `sign`, when given,
    adds headers to every attempt anew, for vendors whose signature carries the time of sending. `accepted`, when given,
    is told of every delivery answered 2xx, so that a vendor which keeps them across a restart can forget it.
    Faults: `duplicate_webhooks` sends a body twice, `reorder_webhooks` lets the second waiting one overtake the first,
    `hold_webhooks` keeps everything back until it is cleared.
    """

    def __init__(
        self,
        clock: Clock,
        faults: Faults,
        *,
        delays: Iterable[float],
        answer_limit: float,
        in_order: bool = True,
        repeat_last: bool = False,
        gather: Callable[[], Iterable[Delivery]] | None = None,
        sign: Callable[[bytes], dict[str, str]] | None = None,
        accepted: Callable[[Delivery], None] | None = None,
    ) -> None:
        self._clock = clock
        self._faults = faults
        self._delays = tuple(delays)
        self._answer_limit = answer_limit
        self._in_order = in_order
        self._repeat_last = repeat_last
        self._gather = gather
        self._sign = sign
        self._accepted = accepted
        self._url = ""
        self._lock = threading.RLock()
        self._waiting: list[Delivery] = []
        self._given_up: list[Delivery] = []
        self._attempts: list[Attempt] = []
        self._busy = False
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._session = requests.Session()
        self._session.trust_env = False

    def set_target(self, url: str) -> None:
        """Where to send from now on; an empty URL keeps deliveries waiting."""
        with self._lock:
            self._url = url
            if url and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
                self._thread.start()
        self._wake.set()

    @property
    def target(self) -> str:
        """The URL deliveries go to; empty when none is set."""
        with self._lock:
            return self._url

    def enqueue(self, body: bytes, headers: dict[str, str]) -> str:
        """Add a signed body; returns the delivery's id."""
        delivery = Delivery(body, headers)
        with self._lock:
            self._waiting.append(delivery)
        self._wake.set()
        return delivery.id

    def wake(self) -> None:
        """Look at once whether `gather` has something, instead of at the next turn."""
        self._wake.set()

    def attempts(self) -> list[Attempt]:
        """Every try so far, in order."""
        with self._lock:
            return list(self._attempts)

    def waiting(self) -> list[Delivery]:
        """What is not accepted yet."""
        with self._lock:
            return list(self._waiting)

    def given_up(self) -> list[Delivery]:
        """What the vendor stopped trying."""
        with self._lock:
            return list(self._given_up)

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until nothing is waiting or being sent; False when `timeout` real seconds pass before that."""
        end = time.monotonic() + timeout
        self._wake.set()
        while time.monotonic() < end:
            with self._lock:
                self._collect()
                if not self._waiting and not self._busy:
                    return True
            time.sleep(_TICK_SECONDS)
        return False

    def close(self) -> None:
        """Stop the thread; what is waiting stays unsent."""
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout=self._answer_limit + 1)
        self._session.close()

    def _run(self) -> None:
        while not self._stopping.is_set():
            delivery = self._next()
            if delivery is None:
                self._wake.wait(_TICK_SECONDS if self._waiting else _IDLE_SECONDS)
                self._wake.clear()
                continue
            try:
                self._send(delivery)
            finally:
                with self._lock:
                    self._busy = False

    def _collect(self) -> None:
        if self._gather is not None:
            self._waiting.extend(self._gather())

    def _next(self) -> Delivery | None:
        with self._lock:
            if not self._url or self._faults.armed("hold_webhooks"):
                return None
            self._collect()
            if len(self._waiting) > 1 and self._faults.take("reorder_webhooks"):
                self._waiting[0], self._waiting[1] = self._waiting[1], self._waiting[0]
            now = self._clock.time()
            candidates = self._waiting[:1] if self._in_order else self._waiting
            chosen = next((delivery for delivery in candidates if delivery.due <= now), None)
            self._busy = chosen is not None
            return chosen

    def _send(self, delivery: Delivery) -> None:
        status = self._attempt(delivery)
        if status is not None and 200 <= status < 300 and self._faults.take("duplicate_webhooks"):
            self._attempt(delivery)
        with self._lock:
            delivery.tries += 1
            if status is not None and 200 <= status < 300:
                self._waiting.remove(delivery)
                if self._accepted is not None:
                    self._accepted(delivery)
                return
            if delivery.tries <= len(self._delays):
                wait = self._delays[delivery.tries - 1]
            elif self._repeat_last and self._delays:
                wait = self._delays[-1]
            else:
                self._waiting.remove(delivery)
                self._given_up.append(delivery)
                return
            delivery.due = self._clock.time() + wait

    def _attempt(self, delivery: Delivery) -> int | None:
        started = time.monotonic()
        status: int | None = None
        error = ""
        signature = self._sign(delivery.body) if self._sign is not None else {}
        try:
            with contextlib.closing(
                self._session.post(
                    self.target,
                    data=delivery.body,
                    headers={"Content-Type": "application/json", **delivery.headers, **signature},
                    timeout=self._answer_limit,
                    allow_redirects=False,
                )
            ) as answer:
                status = answer.status_code
        except requests.RequestException as failure:
            error = type(failure).__name__
        took = int((time.monotonic() - started) * 1000)
        with self._lock:
            self._attempts.append(Attempt(delivery.id, self._clock.time(), status, took, error))
        return status
