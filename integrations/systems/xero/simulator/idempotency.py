"""The Idempotency-Key with Xero's own semantics: short-lived, per app, errors included.

A key of at most 128 characters is remembered six minutes from its first call, on POST and PUT. The same call gets the
first answer again, whatever it was; another method, address or body under the same key is refused with 400.
Source: developer.xero.com/documentation/guides/idempotent-requests/idempotency/.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Response

from integrations.simulator.clock import Clock
from integrations.simulator.store import Store
from integrations.systems.xero.simulator.config import XeroConfig
from integrations.systems.xero.simulator.problems import bad_body

_KIND = "idempotency"
_LONGEST = 128
_KEPT_HEADERS = ("Content-Type", "Content-Disposition")


def fingerprint(method: str, url: str, body: bytes) -> str:
    """What makes two requests the same; the tenant header is no part of it, since keys are per app."""
    return hashlib.sha256(b"\n".join((method.encode(), url.encode(), body))).hexdigest()


class IdempotencyCache:
    """Remembers answers by key; calls with the same key wait for each other."""

    def __init__(self, store: Store, clock: Clock, config: XeroConfig) -> None:
        self._store = store
        self._clock = clock
        self._lifetime = config.idempotency_lifetime
        self._lock = threading.Lock()
        self._holders: dict[str, tuple[threading.Lock, int]] = {}

    def answer(self, key: str, request: str, run: Callable[[], Response]) -> Response:
        """The remembered answer, or that of `run`, which is remembered. Raises the 400s of misuse."""
        if len(key) > _LONGEST:
            raise bad_body(f"Idempotency-Key must not be longer than {_LONGEST} characters")
        with self._holding(key):
            held = self._store.get(_KIND, key)
            now = self._clock.time()
            if held is not None and now - float(held["at"]) < self._lifetime:
                if held["request"] != request:
                    raise bad_body(f"Idempotency-Key {key} is used with a different request")
                return Response(base64.b64decode(held["body"]), int(held["status"]), headers=held["headers"])
            response = run()
            self._keep(key, request, now, response.status_code, response.get_data(), dict(response.headers))
            return response

    def replace(self, key: str, request: str, status: int, body: bytes, content_type: str) -> None:
        """Remember an internal error instead of the answer it hid, as the vendor does."""
        held = self._store.get(_KIND, key)
        now = self._clock.time()
        at = float(held["at"]) if held is not None and held["request"] == request else now
        if held is None or held["request"] == request or now - float(held["at"]) >= self._lifetime:
            self._keep(key, request, at, status, body, {"Content-Type": content_type})

    def _keep(self, key: str, request: str, at: float, status: int, body: bytes, headers: dict[str, str]) -> None:
        kept = {name: value for name, value in headers.items() if name in _KEPT_HEADERS}
        encoded = base64.b64encode(body).decode()
        self._store.put(
            _KIND, key, {"request": request, "at": str(at), "status": status, "headers": kept, "body": encoded}
        )

    @contextmanager
    def _holding(self, key: str) -> Iterator[None]:
        with self._lock:
            lock, waiting = self._holders.get(key, (threading.Lock(), 0))
            self._holders[key] = (lock, waiting + 1)
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, waiting = self._holders[key]
                if waiting == 1:
                    del self._holders[key]
                else:
                    self._holders[key] = (lock, waiting - 1)
