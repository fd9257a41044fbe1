"""An upstream that counts every call in exact windows, and remembers each that was one too many."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from connector.manifest import RateLimit


class Upstream(ThreadingHTTPServer):
    """Answers within 30 ms. A call over a limit gets 429, and is in `violations` with the limit's words.

    `day_used` calls have been made today by somebody else; `silent_until` (steady seconds) every call is a violation.
    `hold_up_every`: each so-manieth call arrives 0.3 s late, 0: none.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, limits: tuple[RateLimit, ...]) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.limits = limits
        self.guard = threading.Lock()
        self.seen: dict[float, deque[float]] = {limit.period: deque() for limit in limits}
        self.open = 0
        self.most_open = 0
        self.calls = 0
        self.violations: list[str] = []
        self.day_used = 0
        self.silent_until = 0.0
        self.throttle_next = False
        self.hold_up_every = 0
        self.arriving = 0

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def hold_up(self) -> None:
        """What a call may meet on its way."""
        with self.guard:
            self.arriving += 1
            late = self.hold_up_every and self.arriving % self.hold_up_every == 0
        if late:
            time.sleep(0.3)

    def admit(self) -> tuple[int, dict[str, str]]:
        """Count one call: the status it gets, and headers."""
        with self.guard:
            now = time.monotonic()
            self.calls += 1
            if now < self.silent_until:
                self.violations.append("called while asked for silence")
                return 429, {"Retry-After": "1"}
            if self.throttle_next:
                self.throttle_next = False
                self.silent_until = now + 1.9
                return 429, {"Retry-After": "2"}
            self.open += 1
            self.most_open = max(self.most_open, self.open)
            headers = {}
            for limit in self.limits:
                window = self.seen[limit.period]
                while window and now - window[0] >= limit.period:
                    window.popleft()
                window.append(now)
                used = len(window) + (self.day_used if limit.period == 86_400.0 else 0)
                if used > limit.limit:
                    self.violations.append(f"{used} of {limit.limit} in {limit.period:g} s")
                if limit.in_flight and self.open > limit.in_flight:
                    self.violations.append(f"{self.open} of {limit.in_flight} open")
                if limit.rest and sum(now - moment < limit.rest for moment in window) > limit.in_flight:
                    self.violations.append(f"more than {limit.in_flight} in {limit.rest:g} s")
                if limit.period == 86_400.0:
                    headers["X-DayLimit-Remaining"] = str(max(0, limit.limit - used))
            return 200, headers

    def leave(self) -> None:
        """The call has been answered."""
        with self.guard:
            self.open -= 1


class _Door(BaseHTTPRequestHandler):
    server: Upstream
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.hold_up()
        status, headers = self.server.admit()
        if status == 200:
            time.sleep(0.03)
            # It is over when the answer goes out: after that the caller may come again at once.
            self.server.leave()
        body = b"{}"
        self.send_response(status)
        for name, value in {**headers, "Content-Type": "application/json", "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def counting(limits: tuple[RateLimit, ...]) -> Iterator[Upstream]:
    """An upstream on a port of its own."""
    server = Upstream(limits)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
