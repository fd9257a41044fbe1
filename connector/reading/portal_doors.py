"""Who stands at the portal's door: the link, session or address that was shown, and whose pages it opens.

One statement finds everything a page needs to know about the merchant and the customer; the page's own SELECTs follow
in the same read-only transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from connector.db import tables as t
from connector.db.prepared import Prepared
from connector.db.reader import Reader
from connector.domain.links import OpenedLink, Scope, token_hash
from connector.domain.payments import PortalScope
from connector.domain.records import Kind
from connector.errors import NotFound
from connector.wiring import Wiring


@dataclass(frozen=True, slots=True)
class Brand:
    """What customers see of a merchant. The versions change with colour and logo; no logo has version ''."""

    slug: str
    name: str
    version: str
    logo_version: str
    help_email: str
    help_phone: str


@dataclass(frozen=True, slots=True)
class Portal:
    """An opened door: whose pages, and what may be done there.

    `system` is the accounting system's name in the registry; `payable` whether payments can be taken now.
    """

    brand: Brand
    scope: PortalScope
    customer_name: str
    system: str
    allow_partial: bool
    payable: bool
    synced_at: datetime | None


@dataclass(frozen=True, slots=True)
class Address:
    """A portal nobody has entered yet: whose it is, its brand, and the brand's colour as stored."""

    merchant_id: int
    brand: Brand
    colour: str


@dataclass(frozen=True, slots=True)
class Visit:
    """A door found. `ended` is the link when it was revoked or has expired: then nothing but `portal.brand` and the
    way to a fresh link may be shown."""

    portal: Portal
    reader: Reader
    ended: OpenedLink | None


_m, _c, _k, _i, _u, _s = (
    table.c for table in (t.merchants, t.connections, t.links, t.invoices, t.customers, t.sessions)
)
MERCHANT_FIELDS = (
    _m.slug,
    _m.name,
    _m.colour,
    _m.logo_type,
    _m.branded_at,
    _m.help_email,
    _m.help_phone,
    _m.allow_partial,
    _m.gateway,
)
_CONNECTION = (_c.system, _c.state.label("connection_state"), _c.last_synced_at)
_LINK_CUSTOMER = sa.func.coalesce(_i.customer, _k.target)
_BY_LINK = (
    sa.select(
        _k.id.label("link_id"),
        _k.merchant_id,
        _k.connection_id,
        _k.scope,
        _k.target,
        _k.state,
        _k.expires_at,
        _LINK_CUSTOMER.label("customer"),
        _u.name.label("customer_name"),
        *_CONNECTION,
        *MERCHANT_FIELDS,
    )
    .select_from(t.links)
    .join(t.merchants, _m.id == _k.merchant_id)
    .join(t.connections, _c.id == _k.connection_id)
    .outerjoin(
        t.invoices,
        sa.and_(
            _k.scope == Scope.INVOICE.value,
            _i.connection_id == _k.connection_id,
            _i.kind == Kind.INVOICE.value,
            _i.remote_id == _k.target,
        ),
    )
    .outerjoin(t.customers, sa.and_(_u.connection_id == _k.connection_id, _u.remote_id == _LINK_CUSTOMER))
    .where(_k.token_hash == sa.bindparam("hash"))
)
_BY_LINK_ALONE = Prepared(_BY_LINK)
# PostgreSQL's row-level security is told in the same round trip whose rows the rest of the transaction may see.
_BY_LINK_BINDING = Prepared(
    _BY_LINK.add_columns(
        sa.func.set_config("app.merchant", sa.cast(_k.merchant_id, sa.String), sa.true()).label("bound")
    )
)
_BY_SESSION = (
    sa.select(
        _s.merchant_id,
        _s.connection_id,
        _s.customer,
        _s.invoice,
        _u.name.label("customer_name"),
        *_CONNECTION,
        *MERCHANT_FIELDS,
    )
    .select_from(t.sessions)
    .join(t.merchants, _m.id == _s.merchant_id)
    .join(t.connections, _c.id == _s.connection_id)
    .outerjoin(t.customers, sa.and_(_u.connection_id == _s.connection_id, _u.remote_id == _s.customer))
    .where(
        _s.token_hash == sa.bindparam("hash"),
        _s.realm == "customer",
        _s.revoked_at.is_(None),
        _s.expires_at > sa.bindparam("now"),
        _m.slug == sa.bindparam("slug"),
    )
)
_PORTAL = sa.select(_m.id.label("merchant_id"), *MERCHANT_FIELDS)
_BY_SLUG = _PORTAL.where(_m.slug == sa.bindparam("slug"))
_BY_ID = _PORTAL.where(_m.id == sa.bindparam("id"))
_LOGO = sa.select(_m.logo, _m.logo_type).where(_m.slug == sa.bindparam("slug"))


@contextmanager
def enter_by_link(wiring: Wiring, token: str) -> Iterator[Visit]:
    """Open the door of a billing link. Raises NotFound for a token that never was one."""
    with wiring.database.lookup() as installation:
        binding = wiring.database.engine.dialect.name == "postgresql"
        row = installation.first(_BY_LINK_BINDING if binding else _BY_LINK_ALONE, hash=token_hash(token))
        if row is None:
            raise NotFound("This link is not known. Check that the whole address was copied.")
        live = row.state == "live" and (row.expires_at is None or row.expires_at > installation.now)
        scope = PortalScope(
            merchant_id=row.merchant_id,
            connection_id=row.connection_id,
            customer=row.customer,
            invoice=row.target if row.scope == Scope.INVOICE else None,
            link_id=row.link_id,
        )
        link = OpenedLink(row.link_id, row.merchant_id, row.connection_id, Scope(row.scope), row.target)
        reader = installation.reader(row.merchant_id, bound=binding)
        yield Visit(_portal(wiring, row, scope), reader, None if live else link)


@contextmanager
def enter_by_session(wiring: Wiring, token: str, slug: str) -> Iterator[Visit | None]:
    """Open the door of a signed-in customer at this merchant's portal; None when nobody is signed in there."""
    with wiring.database.lookup() as installation:
        hashed = hashlib.sha256(token.encode()).digest()
        row = installation.first(_BY_SESSION, hash=hashed, slug=slug, now=installation.now) if token else None
        if row is None:
            yield None
            return
        scope = PortalScope(
            merchant_id=row.merchant_id,
            connection_id=row.connection_id,
            customer=row.customer,
            invoice=row.invoice or None,
        )
        yield Visit(_portal(wiring, row, scope), installation.reader(row.merchant_id), None)


def brand_of(wiring: Wiring, slug: str) -> Address:
    """The portal at an address. Raises NotFound."""
    return _address(wiring, _BY_SLUG, slug=slug)


def brand_of_merchant(wiring: Wiring, merchant_id: int) -> Address:
    """The portal of a merchant. Raises NotFound."""
    return _address(wiring, _BY_ID, id=merchant_id)


def _address(wiring: Wiring, statement: sa.Select[Any], **values: Any) -> Address:
    with wiring.database.lookup() as installation:
        row = installation.first(statement, **values)
    if row is None:
        raise NotFound("There is no portal at this address. Check the address in the mail or invoice you received.")
    return Address(row.merchant_id, brand_from(row), row.colour)


def logo_of(wiring: Wiring, slug: str) -> tuple[bytes, str]:
    """A merchant's logo and its media type. Raises NotFound."""
    with wiring.database.lookup() as installation:
        row = installation.first(_LOGO, slug=slug)
    if row is None or not row.logo or not row.logo_type:
        raise NotFound("There is no logo.")
    return row.logo, row.logo_type


def brand_from(row: Any) -> Brand:
    """The brand in a row that selects MERCHANT_FIELDS."""
    return Brand(
        slug=row.slug,
        name=row.name,
        version=row.colour.lstrip("#"),
        logo_version=format(int(row.branded_at.timestamp()) if row.branded_at else 1, "x") if row.logo_type else "",
        help_email=row.help_email,
        help_phone=row.help_phone,
    )


def _portal(wiring: Wiring, row: Any, scope: PortalScope) -> Portal:
    return Portal(
        brand=brand_from(row),
        scope=scope,
        customer_name=row.customer_name or "",
        system=row.system,
        allow_partial=row.allow_partial,
        payable=row.gateway in wiring.gateways and row.connection_state == "active",
        synced_at=row.last_synced_at,
    )
