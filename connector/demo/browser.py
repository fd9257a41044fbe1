"""A person without hands: follows links and submits the forms it finds on real pages over HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests

_TIMEOUT = (5.0, 60.0)


class PageFault(Exception):
    """A page did not answer as a person would need it to; the message says where."""


@dataclass
class Form:
    """A form as it stands on a page: where it goes and what it sends unless changed."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    options: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class Page:
    """A page that was opened: its address, text, forms, links (absolute) and the data-* values it carries."""

    url: str
    status: int
    html: str
    forms: list[Form]
    links: list[str]
    data: dict[str, str]

    def form(self, part: str) -> Form:
        """The form that sends something to an address containing `part`. Raises PageFault."""
        for each in self.forms:
            if part in each.action and each.method == "POST":
                return each
        raise PageFault(f"{self.url} has no form leading to {part!r}.")


class Browser:
    """Keeps cookies by host and port, as separate people would; follows redirects."""

    def __init__(self) -> None:
        self._jars: dict[str, requests.Session] = {}

    def get(self, url: str, *, expect: int = 200) -> Page:
        """Open an address. Raises PageFault for another status than expected."""
        return self._open("GET", url, None, expect)

    def submit(self, page: Page, part: str, button: tuple[str, str] | None = None, **values: str) -> Page:
        """Submit the form leading to `part`, with some fields changed. Raises PageFault."""
        form = page.form(part)
        data = {**form.fields, **values, **(dict([button]) if button else {})}
        return self._open(form.method, form.action, data, 200)

    def json(self, url: str) -> dict[str, Any]:
        """Read an address that answers JSON."""
        answer = self._session(url).get(url, timeout=_TIMEOUT)
        if answer.status_code != 200:
            raise PageFault(f"{url} answered {answer.status_code}.")
        found: dict[str, Any] = answer.json()
        return found

    def _open(self, method: str, url: str, data: dict[str, str] | None, expect: int) -> Page:
        for _ in range(10):
            answer = self._session(url).request(
                method,
                url,
                data=data if method == "POST" else None,
                params=data if method == "GET" else None,
                timeout=_TIMEOUT,
                allow_redirects=False,
            )
            if not answer.is_redirect:
                break
            url, method, data = urljoin(url, answer.headers["Location"]), "GET", None
        if answer.status_code != expect:
            raise PageFault(f"{method} {url} answered {answer.status_code}: {_words(answer.text)}")
        return page_of(answer)

    def _session(self, url: str) -> requests.Session:
        host = urlsplit(url).netloc
        if host not in self._jars:
            self._jars[host] = requests.Session()
            self._jars[host].trust_env = False
        return self._jars[host]


def page_of(answer: requests.Response) -> Page:
    """An answer as the page it is."""
    reader = _Reader(answer.url)
    reader.feed(answer.text)
    return Page(answer.url, answer.status_code, answer.text, reader.forms, reader.links, reader.data)


class _Reader(HTMLParser):
    """Collects forms and links."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._form: Form | None = None
        self._select: str | None = None
        self._area: str | None = None
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.data: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        given = {name: value or "" for name, value in attrs}
        self.data |= {name.removeprefix("data-"): value for name, value in given.items() if name.startswith("data-")}
        if tag == "a" and "href" in given:
            self.links.append(urljoin(self._url, given["href"]))
        elif tag == "form":
            address = urljoin(self._url, given.get("action", "") or self._url)
            self._form = Form(address, given.get("method", "get").upper())
            self.forms.append(self._form)
        elif self._form is not None:
            self._field(tag, given)

    def _field(self, tag: str, given: dict[str, str]) -> None:
        assert self._form is not None  # noqa: S101 - asked by the caller
        name = given.get("name", "")
        if tag == "input":
            kind = given.get("type", "text")
            if kind in ("checkbox", "radio") and "checked" not in given:
                return
            if kind in ("submit", "button", "file", "image"):
                return
            if name:
                self._form.fields.setdefault(name, given.get("value", "on" if kind == "checkbox" else ""))
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            self._form.options.setdefault(self._select, []).append(given.get("value", ""))
            if "selected" in given:
                self._form.fields[self._select] = given.get("value", "")
            else:
                self._form.fields.setdefault(self._select, given.get("value", ""))
        elif tag == "textarea":
            self._area = name
            self._form.fields.setdefault(name, "")

    def handle_data(self, data: str) -> None:
        """Called by the parser."""
        if self._area and self._form is not None:
            self._form.fields[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        """Called by the parser."""
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = None
        elif tag == "textarea":
            self._area = None


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.words: list[str] = []

    def handle_data(self, data: str) -> None:
        self.words.extend(data.split())


def _words(html: str) -> str:
    reader = _Text()
    reader.feed(html)
    return " ".join(reader.words)[:300]
