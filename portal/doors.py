"""The two doors into a customer's pages: a billing link, which is its own key, and a signed-in session."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

from flask import request

from connector.domain.links import OpenedLink
from connector.errors import Ended, NotFound
from connector.reading.portal_doors import Brand, Portal, Visit, enter_by_link, enter_by_session
from connector.web import sessions
from connector.web.context import wiring

_TOKEN = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)


class EndedLink(Ended):
    """A link that was ended: the page says whom to ask and offers to mail the fresh one."""

    def __init__(self, brand: Brand, link: OpenedLink, token: str) -> None:
        super().__init__("This link no longer works.")
        self.brand = brand
        self.link = link
        self.token = token


class SignInNeeded(Exception):
    """Nobody is signed in at this merchant's portal."""

    def __init__(self, slug: str) -> None:
        super().__init__(slug)
        self.slug = slug


@dataclass(frozen=True, slots=True)
class Door:
    """An open door. `path` is what its pages' addresses begin with; `preview` shows everything and does nothing."""

    visit: Visit
    path: str
    preview: bool

    @property
    def portal(self) -> Portal:
        """Whose pages, and what may be done there."""
        return self.visit.portal

    @property
    def signed_in(self) -> bool:
        """Whether a session, not a link, opened it."""
        return self.portal.scope.link_id is None

    @property
    def suffix(self) -> str:
        """What keeps a preview a preview on the next page."""
        return "?preview=1" if self.preview else ""


class Knock(Protocol):
    """Somebody at a door; `visitor` is the secret they showed, which their forms are bound to."""

    @property
    def visitor(self) -> str: ...

    def open(self) -> AbstractContextManager[Door]: ...


@dataclass(frozen=True, slots=True)
class LinkKnock:
    """Somebody with a billing link."""

    token: str

    @property
    def visitor(self) -> str:
        """What forms are bound to."""
        return self.token

    @contextmanager
    def open(self) -> Iterator[Door]:
        """Raises NotFound for an unknown link, EndedLink for one that was ended."""
        if not _TOKEN.fullmatch(self.token):
            raise NotFound("This link is not known. Check that the whole address was copied.")
        with enter_by_link(wiring(), self.token) as visit:
            if visit.ended is not None:
                raise EndedLink(visit.portal.brand, visit.ended, self.token)
            yield Door(visit, f"/i/{self.token}", "preview" in request.args)


@dataclass(frozen=True, slots=True)
class SessionKnock:
    """Somebody signed in by a code."""

    slug: str

    @property
    def visitor(self) -> str:
        """What forms are bound to."""
        return sessions.session_token("customer")

    @contextmanager
    def open(self) -> Iterator[Door]:
        """Raises SignInNeeded."""
        with enter_by_session(wiring(), self.visitor, self.slug) as visit:
            if visit is None:
                raise SignInNeeded(self.slug)
            yield Door(visit, f"/portal/{self.slug}/account", False)
