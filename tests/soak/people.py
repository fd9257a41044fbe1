"""Somebody with a browser: an address of their own, cookies of their own, forms as they stand on the pages."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

import requests
from requests.adapters import HTTPAdapter

_TIMEOUT = (5.0, 40.0)
_FIELD = re.compile(r"<input\b[^>]*>")
_ATTRIBUTE = re.compile(r'\b(name|value|type)="([^"]*)"')

Fields = Sequence[tuple[str, str]]


class NoAnswer(Exception):
    """The other side was not there, or answered with a fault of its own: a person tries again."""


class _From(HTTPAdapter):
    """Connects from an address of its own, so that limits for one caller are met by one caller."""

    def __init__(self, address: str) -> None:
        self._address = address
        super().__init__(pool_connections=2, pool_maxsize=4)

    def init_poolmanager(self, *arguments: Any, **more: Any) -> None:
        super().init_poolmanager(*arguments, source_address=(self._address, 0), **more)


class Person:
    """One browser. `number` (below 60,000) gives a loopback address of its own."""

    def __init__(self, number: int) -> None:
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.mount("http://", _From(f"127.1.{number // 250}.{number % 250 + 1}"))

    def get(self, url: str) -> requests.Response:
        """Open a page. Raises NoAnswer."""
        return self._send("GET", url, None)

    def post(self, url: str, fields: Fields | Mapping[str, str]) -> requests.Response:
        """Send a form; the redirect that follows is not followed. Raises NoAnswer."""
        return self._send("POST", url, fields)

    def json(self, url: str) -> Any:
        """Read JSON. Raises NoAnswer."""
        return self.get(url).json()

    def _send(self, method: str, url: str, fields: Any) -> requests.Response:
        try:
            answer = self.session.request(method, url, data=fields, timeout=_TIMEOUT, allow_redirects=False)
        except requests.RequestException as failure:
            raise NoAnswer(f"{type(failure).__name__} to {method} {url}") from failure
        if answer.status_code >= 500:
            raise NoAnswer(f"{answer.status_code} to {method} {url}")
        return answer


def fields_of(page: str) -> dict[str, str]:
    """The named inputs of a page with their values; of several with one name the last."""
    found = {}
    for tag in _FIELD.findall(page):
        attributes = {name: html.unescape(value) for name, value in _ATTRIBUTE.findall(tag)}
        if attributes.get("name"):
            found[attributes["name"]] = attributes.get("value", "")
    return found


def heard(page: str) -> str:
    """What a page tells its reader went wrong, in short."""
    said = re.search(r'role="alert"><p>([^<]*)', page) or re.search(r'class="error"[^>]*>([^<]*)', page)
    return html.unescape(said[1])[:160] if said else "no words"
