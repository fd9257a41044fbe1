"""Puts small billing systems into the product's wiring, in a test's own process or in a real worker."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from connector.app import wire
from connector.config import Settings
from connector.contract import BillingSystem, TokenSet
from connector.db.leases import seal_tokens
from connector.db.unit_of_work import Dispatch
from connector.journeys import connect
from connector.manifest import AdapterConfig
from connector.wiring import Timing, Wiring
from tests.weakbooks.adapter import WeakBooks
from tests.weakbooks.manifest import manifest_of
from tests.weakbooks.weaknesses import ALL, Weakness, weakness_of

_FOREVER = datetime(2100, 1, 1, tzinfo=UTC)


def wire_weak(
    settings: Settings,
    kind: str | Weakness | Sequence[Weakness],
    url: str,
    *,
    clock: Callable[[], datetime] | None = None,
    dispatch: Dispatch | None = None,
    timing: Timing | None = None,
) -> Wiring:
    """The product's own wiring with small systems at `url` beside its own.

    `kind` is an idempotency kind ('search': one payment settles several invoices), a name ('weak_search_parts'), a
    Weakness, or several; `clock`, `dispatch` and `timing` as for `connector.app.wire`.
    """
    whole = wire(settings, clock=clock or (lambda: datetime.now(UTC)), dispatch=dispatch, timing=timing)
    return with_weak(whole, kind, url)


def with_weak(
    wiring: Wiring,
    kind: str | Weakness | Sequence[Weakness],
    url: str,
    *,
    timeout: tuple[float, float] = (5.0, 30.0),
) -> Wiring:
    """A wiring with small systems added."""
    systems: dict[str, BillingSystem] = dict(wiring.systems)
    for weakness in _several(kind):
        manifest = manifest_of(weakness, timeout=timeout)
        config = AdapterConfig({"api": f"{url.rstrip('/')}/{weakness.name}"}, {}, (), {})
        systems[weakness.name] = WeakBooks(config, wiring.limiter, manifest)
    return replace(wiring, systems=systems)


def connect_weak(wiring: Wiring, merchant_id: int, kind: str | Weakness, *, tenant: str = "t1") -> int:
    """Connect and confirm without a consent; the first import is asked for. The connection's id."""
    (weakness,) = _several(kind)
    with wiring.database.unit_of_work(merchant_id) as uow:
        connection_id = uow.connections.add(
            system=weakness.name, tenant=tenant, name="Weakbooks", currency="USD", extra={}, install_key=None
        )
        tokens = TokenSet("none", "none", _FOREVER)
        uow.connections.store_secrets(connection_id, seal_tokens(uow.vault, str(connection_id), tokens))
    connect.survey(wiring, merchant_id, connection_id)
    connect.confirm(
        wiring,
        merchant_id,
        connection_id,
        history_start=None,
        deposit_account="bank",
        place_links=False,
        user_id=1,
    )
    return connection_id


@contextmanager
def weak_process(directory: Path, port: int = 0) -> Iterator[str]:
    """The small systems in a process of their own, logging into `directory`; their address."""
    program = [sys.executable, "-m", "tests.weakbooks", str(port), str(directory)]
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://"), "the small systems did not start"
        yield address
    finally:
        process.terminate()
        process.wait(15)
        process.stdout.close()


def control(url: str, kind: str | Weakness, path: str, /, **told: Any) -> Any:
    """Do something on a small system's control surface: `control(url, "search", "invoices", count=5, total=1000)`."""
    (weakness,) = _several(kind)
    answer = requests.post(f"{url.rstrip('/')}/{weakness.name}/_control/{path}", json=told, timeout=10)
    assert answer.ok, answer.text
    return answer.json()


def recorded_upstream(url: str) -> list[dict[str, Any]]:
    """The judge's view: every payment recorded or voided in any small system, in order (see books.Log)."""
    return list(requests.get(f"{url.rstrip('/')}/_control/log", timeout=10).json())


def _several(kind: str | Weakness | Sequence[Weakness]) -> tuple[Weakness, ...]:
    if isinstance(kind, Weakness):
        return (kind,)
    if isinstance(kind, str):
        found = weakness_of(kind) or weakness_of(f"weak_{kind}")
        if found is None:
            raise ValueError(f"There is no weakness {kind!r}; there are {', '.join(one.name for one in ALL)}.")
        return (found,)
    return tuple(kind)
