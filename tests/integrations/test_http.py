"""The outgoing session, against a real server on the loopback and against recorded answers."""

from __future__ import annotations

import gzip
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import requests
import responses
import structlog

from connector.contract import Access, Answer, Disconnected, Refused, TryAgain, Unclear
from connector.manifest import AdapterConfig, Manifest, RateLimit
from integrations import http
from integrations.http import Session, send_with_token
from tests.integrations.limiters import MemoryLimiter


def _manifest(**changes: Any) -> Manifest:
    given: dict[str, Any] = {
        "name": "books",
        "title": "Books",
        "role": "system",
        "auth": "oauth_code",
        "endpoints": {"api": "https://books.example/v1"},
        "call_timeout": (0.5, 0.4),
        **changes,
    }
    return Manifest(**given)


def _session(url: str, limiter: MemoryLimiter | None = None, rate: str = "", **changes: Any) -> Session:
    config = AdapterConfig({"api": url}, {}, (), {"rate": rate} if rate else {})
    return Session(_manifest(**changes), config, limiter or MemoryLimiter())


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _body(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(1.0)
            self._body(200, b"{}")
        elif self.path == "/slow-body":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"{")
            self.wfile.flush()
            time.sleep(1.0)
        elif self.path == "/reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif self.path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b'{"half":')
            self.close_connection = True
        elif self.path == "/gzip":
            self._body(200, gzip.compress(b'{"packed": true}'), Content_Encoding="gzip")
        elif self.path == "/bomb":
            self._body(200, gzip.compress(b"0" * 4_000_000), Content_Encoding="gzip")
        elif self.path == "/elsewhere":
            self._body(302, b"", Location="http://127.0.0.1:9/caught")
        elif self.path == "/cookie":
            self._body(200, repr(self.headers.get("Cookie")).encode(), Set_Cookie="session=abc; Path=/")
        else:
            self._body(200, b'{"ok": true}')

    do_POST = do_GET


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        running.daemon_threads = True
        running.block_on_close = False
        thread = threading.Thread(target=running.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


def _ask(url: str, path: str, *, writes: bool = False, **given: Any) -> requests.Response:
    with closing(_session(url, **given)) as session, session.call("thing.ask", connection="c1", writes=writes):
        return session.request("POST" if writes else "GET", url + path)


@pytest.mark.parametrize("path", ["/slow", "/slow-body", "/reset", "/cut"])
@pytest.mark.parametrize(("writes", "answer"), [(True, Unclear), (False, TryAgain)])
def test_a_lost_answer_leaves_a_write_open_and_a_read_to_be_repeated(
    server: str, path: str, writes: bool, answer: type[Answer]
) -> None:
    with pytest.raises(answer) as caught:
        _ask(server, path, writes=writes)
    assert caught.value.why.startswith("Books ")
    assert ("not known whether" in caught.value.why) is writes


@pytest.mark.parametrize("writes", [True, False])
def test_what_was_never_sent_may_be_tried_again(writes: bool) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(TryAgain, match="cannot be reached"):
            _ask(url, "/", writes=writes)


def test_an_unknown_host_was_not_sent_to() -> None:
    with pytest.raises(TryAgain, match="cannot be reached"):
        _ask("https://books.invalid", "/", writes=True)


def test_an_earlier_failure_being_handled_does_not_make_a_write_look_unsent(server: str) -> None:
    try:
        raise requests.ConnectTimeout("an earlier call")
    except requests.ConnectTimeout:
        with pytest.raises(Unclear):
            _ask(server, "/reset", writes=True)


def test_packed_bodies_are_read_and_oversized_ones_refused(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _ask(server, "/gzip").json() == {"packed": True}
    monkeypatch.setattr(http, "LARGEST_BODY", 1_000_000)
    with pytest.raises(TryAgain, match="more than 0 MB"):
        _ask(server, "/bomb")


def test_redirects_are_not_followed(server: str) -> None:
    with pytest.raises(TryAgain, match="redirect"):
        _ask(server, "/elsewhere")


def test_cookies_and_proxies_are_not_used(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    with closing(_session(server)) as session:
        for _ in range(2):
            with session.call("thing.ask"):
                assert session.get(server + "/cookie").text == "None"


def test_the_connection_is_reused(server: str) -> None:
    with closing(_session(server)) as session:
        for _ in range(3):
            with session.call("thing.ask"):
                session.get(server + "/")
        pools = session.transport.poolmanager.pools
        assert pools[next(iter(pools.keys()))].num_connections == 1


def test_a_request_outside_a_call_or_to_a_strange_host_is_a_mistake_of_ours(server: str) -> None:
    with closing(_session(server)) as session:
        with pytest.raises(RuntimeError, match=r"session\.call"):
            session.get(server)
        with session.call("thing.ask"), pytest.raises(RuntimeError, match="not among"):
            session.get("http://127.0.0.1:9/")


@pytest.mark.parametrize("url", ["http://books.example", "ftp://127.0.0.1", "http://127.0.0.1.example"])
def test_plain_http_is_for_this_machine_only(url: str) -> None:
    with pytest.raises(ValueError, match=r"DUEBRIDGE_BOOKS_API_URL must start with https"):
        _session(url)


def _answered(
    limiter: MemoryLimiter, *, writes: bool = False, expects: str = "json", **reply: Any
) -> requests.Response:
    url = "https://books.example/v1"
    with responses.RequestsMock() as mock:
        mock.add("POST", url + "/thing", **reply)
        limits = (RateLimit(100, 60.0, 5),)
        session = _session(url, limiter, limits=limits)
        with session.call("thing.write", connection="c7", writes=writes, expects=expects):
            return session.post(url + "/thing", data=b"{}")


def test_429_pushes_the_limit_back_and_nothing_happened() -> None:
    limiter = MemoryLimiter()
    with pytest.raises(TryAgain) as caught:
        _answered(limiter, writes=True, status=429, headers={"Retry-After": "17"})
    assert caught.value.after == 17.0
    assert limiter.pushed == [("books:c7:60", 17.0)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("", 60.0),
        ("soon", 60.0),
        ("0", 1.0),
        ("99999999", 86400.0),
        ("-5", 60.0),
        ("Thu, 01 Jan 2026 00:00:00 GMT", 1.0),
    ],
)
def test_odd_retry_after_values_have_a_safe_meaning(text: str, seconds: float) -> None:
    with pytest.raises(TryAgain) as caught:
        _answered(MemoryLimiter(), status=429, headers={"Retry-After": text})
    assert caught.value.after == seconds


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_5xx_is_open_for_a_write_and_repeatable_for_a_read(status: int) -> None:
    with pytest.raises(Unclear):
        _answered(MemoryLimiter(), writes=True, status=status)
    with pytest.raises(TryAgain):
        _answered(MemoryLimiter(), status=status)


@pytest.mark.parametrize("status", [200, 400, 403])
def test_a_web_page_instead_of_data_counts_as_no_answer(status: int) -> None:
    page: dict[str, Any] = {"body": "<html>busy</html>", "content_type": "text/html; charset=utf-8", "status": status}
    with pytest.raises(Unclear, match="web page"):
        _answered(MemoryLimiter(), writes=True, **page)
    assert _answered(MemoryLimiter(), expects="html", **page).status_code == status


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_4xx_is_left_to_the_adapter(status: int) -> None:
    assert _answered(MemoryLimiter(), status=status, json={"why": "no"}).json() == {"why": "no"}


def test_every_limit_is_reserved_below_the_vendors_figure_and_by_its_scope() -> None:
    limiter = MemoryLimiter()
    limits = (RateLimit(60, 60.0, 5, in_flight=5), RateLimit(10_000, 60.0, 50, scope="app"), RateLimit(10, 1.0, 1))
    url = "https://books.example/v1"
    with responses.RequestsMock() as mock:
        mock.add("GET", url)
        session = _session(url, limiter, limits=limits)
        with session.call("thing.read", connection="c7"):
            session.get(url)
    assert limiter.reserved == [
        ("books:c7:60", 60, 60.0 * 100 / 95, 5),
        ("books:app:60", 10_000, 60.0 * 100 / 95, 50),
        ("books:c7:1", 10, 100 / 95, 1),
    ]
    assert limiter.most_open == 1 and limiter.open["books:c7:60:open"] == 0


def test_calls_without_a_connection_do_not_use_up_the_row_of_the_whole_app() -> None:
    limiter = MemoryLimiter()
    limits = (RateLimit(60, 60.0, 5), RateLimit(10_000, 60.0, 50, scope="app"))
    url = "https://books.example/token"
    with responses.RequestsMock() as mock:
        mock.add("POST", url)
        session = _session(url, limiter, limits=limits)
        with session.call("token.exchange", writes=True):
            session.post(url)
    assert [row[0] for row in limiter.reserved] == ["books:none:60", "books:app:60"]


def test_a_slot_is_given_back_when_the_call_fails(server: str) -> None:
    limiter = MemoryLimiter()
    with pytest.raises(TryAgain):
        _ask(server, "/reset", limiter=limiter, limits=(RateLimit(60, 60.0, 5, in_flight=5),))
    assert limiter.most_open == 1 and limiter.open["books:c1:60:open"] == 0


def test_a_short_wait_is_waited_and_a_long_one_is_given_back(server: str) -> None:
    limits = (RateLimit(60, 60.0, 5),)
    limiter = MemoryLimiter(waits=[0.05, 0.05])
    started = time.monotonic()
    _ask(server, "/", limiter=limiter, limits=limits)
    assert time.monotonic() - started >= 0.1 and len(limiter.reserved) == 3
    with pytest.raises(TryAgain) as caught:
        _ask(server, "/", limiter=MemoryLimiter(waits=[30.0]), limits=limits)
    assert caught.value.after == 30.0


def test_a_full_house_is_waited_for_and_then_given_back(server: str) -> None:
    limits = (RateLimit(60, 60.0, 5, in_flight=2),)
    assert _ask(server, "/", limiter=MemoryLimiter(full=3), limits=limits).ok
    with pytest.raises(TryAgain, match="calls open"):
        _ask(server, "/", limiter=MemoryLimiter(full=1000), limits=limits)


def test_background_calls_leave_part_of_each_limit_and_one_open_call_to_others(server: str) -> None:
    limits = (RateLimit(60, 60.0, 5, in_flight=2), RateLimit(5_000, 86_400.0, burst=0, kept=200))
    limiter = MemoryLimiter()
    session = _session(server, limiter, limits=limits)
    for background in (False, True):
        with session.call("thing.read", connection="c1", background=background):
            session.get(server + "/")
    assert limiter.kept == [0, 0, 12, 200]
    assert limiter.places == [2, 1]


def test_a_budget_is_asked_last_and_given_back_when_the_call_is_not_made(server: str) -> None:
    limits = (RateLimit(5_000, 86_400.0, burst=0), RateLimit(60, 60.0, 5, in_flight=2))
    limiter = MemoryLimiter(full=1000)
    with pytest.raises(TryAgain, match="calls open"):
        _ask(server, "/", limiter=limiter, limits=limits)
    assert [row[0] for row in limiter.reserved] == ["books:c1:60"]
    assert limiter.given_back == ["books:c1:60"]
    another = RateLimit(500, 3600.0, burst=0)
    limiter = MemoryLimiter(waits=[0.0, 0.0, 900.0])
    with pytest.raises(TryAgain):
        _ask(server, "/", limiter=limiter, limits=(*limits, another))
    assert limiter.given_back == ["books:c1:86400", "books:c1:60"]
    assert limiter.open["books:c1:60:open"] == 0


def test_rates_can_be_set_from_outside(server: str) -> None:
    limiter = MemoryLimiter()
    _ask(server, "/", limiter=limiter, rate="1000/60,20/1", limits=(RateLimit(60, 60.0, 5, in_flight=2),))
    assert limiter.reserved == [
        ("books:c1:60", 1000, 60.0 * 100 / 95, 20),
        ("books:c1:1", 20, 100 / 95, 1),
    ]
    assert limiter.most_open == 1
    for wrong in ("many", "0/60", "5", "5/x", "-1/60"):
        with pytest.raises(ValueError, match="DUEBRIDGE_BOOKS_RATE"):
            _session(server, rate=wrong)


def test_the_log_tells_the_call_and_no_secret() -> None:
    url = "https://books.example/v1"
    with responses.RequestsMock() as mock, structlog.testing.capture_logs() as lines:
        mock.add("GET", url, json={"secret": "body"}, headers={"intuit_tid": "1-2-3", "X-DayLimit-Remaining": "4990"})
        session = _session(url)
        with session.call("thing.read", connection="c7"):
            session.get(url, params={"q": "hidden"}, headers={"Authorization": "Bearer hidden"})
    (line,) = lines
    assert line["operation"] == "thing.read" and line["connection"] == "c7" and line["status"] == 200
    assert line["intuit_tid"] == "1-2-3" and line["x-daylimit-remaining"] == "4990"
    assert "hidden" not in repr(lines) and "body" not in repr(lines)


def _access(tokens: list[str]) -> tuple[Access, list[str | None]]:
    asked: list[str | None] = []

    def token(refused: str | None = None) -> str:
        asked.append(refused)
        return tokens.pop(0)

    return Access("c1", "t1", token, {}), asked


def _with_statuses(*statuses: int) -> tuple[list[str], Any]:
    seen: list[str] = []

    def send(token: str) -> requests.Response:
        seen.append(token)
        response = requests.Response()
        response.status_code = statuses[len(seen) - 1]
        return response

    return seen, send


def test_a_401_is_refreshed_once_and_then_means_disconnected() -> None:
    access, asked = _access(["old", "new"])
    seen, send = _with_statuses(401, 200)
    assert send_with_token(access, "Books", send).status_code == 200
    assert seen == ["old", "new"] and asked == [None, "old"]
    access, _ = _access(["old", "new"])
    _, send = _with_statuses(401, 401)
    with pytest.raises(Disconnected, match="Connect again"):
        send_with_token(access, "Books", send)


def test_from_status_explains() -> None:
    from connector.contract import Gone, Stale
    from integrations.outcomes import from_status

    assert isinstance(from_status("Books", 404, ""), Gone)
    assert isinstance(from_status("Books", 412, ""), Stale)
    refused = from_status("Books", 400, "The period is closed.", "6200")
    assert isinstance(refused, Refused) and refused.code == "6200" and refused.why == "The period is closed."
