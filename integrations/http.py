"""The one outgoing session: time limits, rate limits, Retry-After, size limits, redacted logs, failures as answers.

Everything is done in the transport adapter, so that the vendors' SDKs and the OAuth library get it too when they are
given this session or `mount` this adapter.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from urllib.parse import urlsplit

import requests
import structlog
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

from connector.checkpoints import passing
from connector.contract import Access, Disconnected, Limiter, TryAgain
from connector.manifest import AdapterConfig, Manifest, RateLimit
from integrations.allowances import DAY, limits_in_force
from integrations.arrivals import QuickestAnswers
from integrations.outcomes import Call, from_failure, lost, not_sent, retry_after

LARGEST_BODY = 50 * 1024 * 1024
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
# Vendors count calls by their own clock and edges: we take 95 % of their figure, by stretching the period, since a
# small figure such as 10 a second cannot be rounded down without losing more.
STRETCH = 100 / 95
_POLL = 0.05
_BUSY = "has had as many calls as it allows for now"
_TRACE_HEADERS = ("intuit_tid", "xero-correlation-id", "x-request-id")
# What is left of which limit (scope, period), and the word by which a 429 names it.
_BUDGETS = {
    "X-MinLimit-Remaining": ("connection", 60.0, "minute"),
    "X-DayLimit-Remaining": ("connection", DAY, "day"),
    "X-AppMinLimit-Remaining": ("app", 60.0, "appminute"),
}
_PROBLEM = "X-Rate-Limit-Problem"
# What the upstream says is left is written down once less than this share is: before that it changes nothing.
_WORTH_TELLING = 0.25

TokenSend = Callable[[str], requests.Response]

_log = structlog.get_logger("duebridge.outgoing")
_calls: ContextVar[Call | None] = ContextVar("outgoing_call", default=None)


@dataclass
class _Place:
    """A place among the calls in flight, if the upstream limits these; it rests so many seconds after the answer."""

    key: str = ""
    holder: str = ""
    rest: float = 0.0


class Transport(HTTPAdapter):
    """Sends one prepared request as the `Call` in force says, and returns it read to the end.

    Raises an Answer for what is not an answer of the upstream: no connection, time out, broken or oversized body,
    429, 5xx, a redirect, HTML in place of data. A 4xx comes back as the response for the adapter to read.
    """

    def __init__(self, manifest: Manifest, config: AdapterConfig, limiter: Limiter) -> None:
        self._manifest = manifest
        self._limiter = limiter
        self._limits = limits_in_force(manifest, config)
        self._lines: dict[tuple[str, bool], threading.Lock] = {}
        self._rest = max((limit.rest for limit in self._limits), default=0.0) * STRETCH
        self._quickest = QuickestAnswers()
        self._hosts = frozenset(_origin(url) for url in config.endpoints.values())
        super().__init__(pool_connections=4, pool_maxsize=32, max_retries=0)

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: object = None,
        verify: bool | str = True,
        cert: object = None,
        proxies: Mapping[str, str] | None = None,
    ) -> requests.Response:
        call = _calls.get()
        if call is None:
            raise RuntimeError("An outgoing request needs `with session.call(...)` around it.")
        if _origin(request.url or "") not in self._hosts:
            raise RuntimeError("An outgoing request went to a host that is not among the adapter's endpoints.")
        with self._admitted(call) as place:
            started, place.rest = time.monotonic(), self._rest
            status, headers = 0, requests.structures.CaseInsensitiveDict[str]()
            try:
                with passing(call.operation):
                    response = super().send(request, True, self._manifest.call_timeout, verify)
                    status, headers = response.status_code, response.headers
                    _read(self._manifest.title, call, response)
            except (requests.RequestException, HTTPError, OSError) as failure:
                raise from_failure(self._manifest.title, call, failure) from failure
            finally:
                self._write_log(call, status, headers, time.monotonic() - started)
            if status < 400:
                arrived_before = self._quickest.arrived_before(call.operation, time.monotonic() - started)
                place.rest = max(0.0, self._rest - arrived_before)
        self._heed(call, headers)
        return self._judge(call, response)

    def _judge(self, call: Call, response: requests.Response) -> requests.Response:
        title, status = self._manifest.title, response.status_code
        if status == 429:
            seconds = retry_after(response.headers, time.time())
            if limit := self._exceeded(response):
                self._limiter.push_back(self._key(limit, call), seconds)
            raise TryAgain(f"{title} asked us to slow down.", seconds)
        if status == 503 and not call.writes:
            raise TryAgain(f"{title} is not available at the moment.", retry_after(response.headers, time.time()))
        if status >= 500:
            raise lost(title, call, f"had a fault of its own (HTTP {status})")
        if 300 <= status < 400:
            raise lost(title, call, f"answered with a redirect (HTTP {status}), which is not followed")
        is_page = "html" in response.headers.get("Content-Type", "").lower() and bool(response.content)
        if is_page and call.expects != "html":
            raise lost(title, call, "answered with a web page instead of data")
        return response

    def _exceeded(self, response: requests.Response) -> RateLimit | None:
        """The limit a 429 speaks of: the one it names, else one of the connection's own."""
        named = response.headers.get(_PROBLEM, "").strip().lower()
        about = {(scope, period) for scope, period, word in _BUDGETS.values() if word == named}
        meant = [limit for limit in self._limits if (limit.scope, limit.period) in about]
        own = [limit for limit in self._limits if limit.scope == "connection"]
        return next(iter([*meant, *own, *self._limits]), None)

    def _heed(self, call: Call, headers: Mapping[str, str]) -> None:
        """Believe the upstream when it says that less is left than we have counted: others may call as well."""
        for name, (scope, period, _) in _BUDGETS.items():
            left = headers.get(name, "")
            if not (left.isascii() and left.isdigit()):
                continue
            for limit in self._limits:
                if (limit.scope, limit.period) == (scope, period) and int(left) < limit.limit * _WORTH_TELLING:
                    key, stretched = self._key(limit, call), period * STRETCH
                    self._limiter.told(key, int(left), limit=limit.limit, period=stretched, burst=limit.burst)

    @contextmanager
    def _admitted(self, call: Call) -> Iterator[_Place]:
        """Wait until a call may go, for as long as its patience lasts. Raises TryAgain; nothing is counted then."""
        deadline = time.monotonic() + call.patience
        with self._line(call, deadline):
            place = self._admit(call, deadline)
        try:
            yield place
        finally:
            self._leave(place)

    @contextmanager
    def _line(self, call: Call, deadline: float) -> Iterator[None]:
        """This process's threads stand in line: the page an import waits for must not be overtaken by later ones. What
        people wait for has a line of its own."""
        line = self._lines.setdefault((call.tenant or call.connection, call.background), threading.Lock())
        if not line.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise not_sent(self._manifest.title, _BUSY, 1.0)
        try:
            yield
        finally:
            line.release()

    def _admit(self, call: Call, deadline: float) -> _Place:
        counted: list[RateLimit] = []
        try:
            for limit in self._limits:
                if limit.burst:
                    while wait := self._count(limit, call):
                        self._wait(wait, deadline, _BUSY)
                    counted.append(limit)
            # Budgets come last: what is counted arrives soon after, and what waits elsewhere spends none of them.
            while True:
                place = self._take_place(call, deadline)
                try:
                    wait = self._spend(call)
                except BaseException:
                    self._leave(place)
                    raise
                if not wait:
                    return place
                # Nobody is kept from a place by who must wait anyhow.
                self._leave(place)
                self._wait(wait, deadline, _BUSY)
        except TryAgain:
            self._give_back(counted, call)
            raise

    def _spend(self, call: Call) -> float:
        """Count a call in every budget, or, where one is used up, in none and say how long to wait."""
        counted: list[RateLimit] = []
        for limit in self._limits:
            if not limit.burst:
                if wait := self._count(limit, call):
                    self._give_back(counted, call)
                    return wait
                counted.append(limit)
        return 0.0

    def _wait(self, seconds: float, deadline: float, why: str, after: float | None = None) -> None:
        if time.monotonic() + seconds > deadline:
            raise not_sent(self._manifest.title, why, seconds if after is None else after)
        time.sleep(seconds)

    def _count(self, limit: RateLimit, call: Call) -> float:
        key, period, kept = self._key(limit, call), limit.period * STRETCH, limit.kept_calls if call.background else 0
        if limit.burst:
            return self._limiter.reserve(key, limit=limit.limit, period=period, burst=limit.burst, kept=kept)
        return self._limiter.spend(key, limit=limit.limit, period=period, kept=kept)

    def _give_back(self, counted: Sequence[RateLimit], call: Call) -> None:
        for limit in counted:
            period = limit.period * STRETCH
            self._limiter.give_back(self._key(limit, call), limit=limit.limit, period=period, burst=limit.burst)

    def _take_place(self, call: Call, deadline: float) -> _Place:
        limit = next((limit for limit in self._limits if limit.in_flight), None)
        if limit is None:
            return _Place()
        place = _Place(f"{self._key(limit, call)}:open", uuid.uuid4().hex)
        # A place left behind by a crash frees itself after the longest a call can take.
        longest = sum(self._manifest.call_timeout) + 30.0
        # One is always left to what people wait for.
        places = max(1, limit.in_flight - int(call.background))
        while not self._limiter.enter(place.key, places, place.holder, longest):
            self._wait(_POLL, deadline, "has as many calls open as it allows", 2.0)
        return place

    def _leave(self, place: _Place) -> None:
        if place.key:
            self._limiter.leave(place.key, place.holder, rest=place.rest)

    def _key(self, limit: RateLimit, call: Call) -> str:
        # Calls before there is a connection (consents) count together, and never into the row of all our calls.
        whose = "app" if limit.scope == "app" else call.tenant or call.connection or "none"
        return f"{self._manifest.name}:{whose}:{limit.period:g}"

    def _write_log(
        self, call: Call, status: int, headers: requests.structures.CaseInsensitiveDict[str], seconds: float
    ) -> None:
        told = {name.lower(): headers[name] for name in (*_TRACE_HEADERS, *_BUDGETS, _PROBLEM) if name in headers}
        _log.info(
            "upstream call",
            system=self._manifest.name,
            operation=call.operation,
            connection=call.connection,
            status=status,
            ms=round(seconds * 1000),
            **told,
        )


class Session(requests.Session):
    """A requests session on `Transport`; one per adapter, shared by its threads.

    Every request is made inside `with session.call(...)`. Cookies are not kept, the environment's proxies and
    .netrc are not looked at.
    """

    def __init__(self, manifest: Manifest, config: AdapterConfig, limiter: Limiter) -> None:
        super().__init__()
        for name, url in config.endpoints.items():
            _require_safe(manifest, name, url)
        self.manifest = manifest
        self.transport = Transport(manifest, config, limiter)
        fit_out(self, self.transport)

    @contextmanager
    def call(
        self,
        operation: str,
        *,
        connection: str = "",
        writes: bool = False,
        patience: float = 1.5,
        expects: str = "json",
        background: bool = False,
        tenant: str = "",
    ) -> Iterator[Call]:
        """Say what the requests made inside are: see `Call`."""
        call = Call(operation, connection, writes, patience, expects, background, tenant)
        token = _calls.set(call)
        try:
            yield call
        finally:
            _calls.reset(token)


def fit_out(session: requests.Session, transport: Transport) -> None:
    """Make any requests session (the OAuth library brings its own) speak through `transport` alone."""
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers["User-Agent"] = "Duebridge/1"
    session.adapters.clear()
    session.mount("https://", transport)
    session.mount("http://", transport)


def current_call() -> Call:
    """The call in force, for an SDK wrapper that must say what an unreadable answer means."""
    call = _calls.get()
    if call is None:
        raise RuntimeError("No outgoing call is in force.")
    return call


def send_with_token(access: Access, title: str, send: TokenSend) -> requests.Response:
    """Send with the connection's access token; a 401 has it refreshed once by force. Raises Disconnected after that."""
    token = access.token(None)
    response = send(token)
    if response.status_code != 401:
        return response
    response = send(access.token(token))
    if response.status_code == 401:
        raise Disconnected(f"{title} no longer accepts our access. Connect again.")
    return response


def _read(title: str, call: Call, response: requests.Response) -> None:
    """Read the whole decoded body into the response, refusing one of unreasonable size."""
    told = response.headers.get("Content-Length", "")
    small = told.isascii() and told.isdigit() and int(told) <= LARGEST_BODY
    # Where the size is told and true, reading without a limit spares a page of invoices one copy of itself.
    most = None if small and "Content-Encoding" not in response.headers else LARGEST_BODY + 1
    body = response.raw.read(most, decode_content=True)
    if len(body) > LARGEST_BODY:
        response.close()
        raise lost(title, call, f"sent more than {LARGEST_BODY // 1024 // 1024} MB")
    response._content = body
    response._content_consumed = True  # type: ignore[attr-defined]


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme.lower(), parts.netloc.lower()


def _require_safe(manifest: Manifest, name: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK):
        return
    variable = f"DUEBRIDGE_{manifest.name}_{name}_URL".upper()
    raise ValueError(f"{variable} must start with https:// (http:// is allowed for this machine only).")
