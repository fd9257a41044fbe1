"""Runs a simulator on a real port, threaded, so that real clients talk real HTTP to it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


class _QuietHandler(WSGIRequestHandler):
    """The journal notes requests; a second log on the terminal would only bury what matters."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


class RunningServer:
    """A server at work in a thread; `url` has no trailing slash."""

    def __init__(self, server: BaseWSGIServer, host: str) -> None:
        self._server = server
        self.url = f"http://{host}:{server.server_port}"
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop listening and wait until the thread has ended."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> RunningServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def serve(app: WSGIApplication, port: int = 0, host: str = "127.0.0.1") -> RunningServer:
    """Serve an app; port 0 takes a free one. OSError when the port is taken."""
    return RunningServer(make_server(host, port, app, threaded=True, request_handler=_QuietHandler), host)


def serve_at(build: Callable[[str], WSGIApplication], port: int = 0, host: str = "127.0.0.1") -> RunningServer:
    """Serve an app that must know its own address: `build` gets the URL once the port is taken."""

    def not_yet(environ: object, start_response: object) -> list[bytes]:
        raise RuntimeError("asked before the application was built")

    server = make_server(host, port, not_yet, threaded=True, request_handler=_QuietHandler)
    try:
        server.app = build(f"http://{host}:{server.server_port}")
    except BaseException:
        server.server_close()
        raise
    return RunningServer(server, host)
