"""A world whose upstreams and workers are processes of their own, so that workers can die by kill -9."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

import requests
import sqlalchemy as sa
from flask import Flask

from connector.app import create_app, wire
from connector.config import read_settings
from connector.db import tables as t
from connector.demo.surroundings import CREDENTIALS
from connector.jobs.engine import Dispatcher, prepare_database
from connector.wiring import Wiring
from integrations.simulator.application import Upstreams
from integrations.simulator.server import serve_at
from tests.faults.children import TIMING
from tests.faults.control import Control
from tests.faults.processes import upstream_process
from tests.nursery import Nursery
from tests.walks.world import World, close_when_idle, environment_of, sign_up_merchant
from tests.weakbooks.weaknesses import ALL
from tests.weakbooks.wiring import with_weak

SYSTEMS = ("quickbooks", "xero")
# Only what is stuck takes as long; a machine with much else to do does not fail a test.
_PATIENCE = 150.0


class _RemoteClock:
    """The simulators' clock, in their own process."""

    def __init__(self, url: str) -> None:
        self._url = url

    def advance(self, seconds: float) -> None:
        answer = requests.post(f"{self._url}/sandbox/_control/clock", json={"advance_seconds": seconds}, timeout=10)
        assert answer.ok, answer.text


class _Remote:
    """What a world needs of the upstreams when they live elsewhere."""

    def __init__(self, url: str) -> None:
        self.clock = _RemoteClock(url)


@dataclass
class Crew:
    """The worker that lives, and how many processes have died so far."""

    worker: int = 0
    kills: int = 0


@dataclass
class Stage(World):
    """The product's doors are in this process, its workers in others. A dead worker is followed by the next one."""

    control: Control = field(kw_only=True)
    nursery: Nursery = field(kw_only=True)
    birth: dict[str, Any] = field(kw_only=True)
    crew: Crew = field(kw_only=True, default_factory=Crew)

    def of_another_merchant(self, **chosen: str) -> Stage:
        """The same stage for a merchant who has just signed up; `chosen` on consent pages."""
        email = f"merchant-{time.monotonic_ns()}@example.com"
        return replace(self, merchant_id=sign_up_merchant(self.wiring, email), chosen=chosen)

    def now(self) -> datetime:
        """The clock all processes of the product share."""
        return self.control.now()

    def advance(self, seconds: float) -> None:
        """Let time pass, everywhere."""
        self.control.advance(seconds)
        self.upstreams.clock.advance(seconds)

    def work(self) -> int:
        """See to it that a worker lives; it works by itself."""
        self.look_after()
        return 0

    def settle(self, until: Callable[[], bool], seconds: float = _PATIENCE) -> None:
        """Wait until something holds. Fails the test when it never does."""
        end = time.monotonic() + seconds
        while not until():
            assert time.monotonic() < end, f"it never came to hold; unfinished: {self.unfinished()}"
            self.look_after()
            time.sleep(0.02)

    def look_after(self) -> None:
        """Let the next worker begin when the last one has died."""
        if self.crew.worker == 0 or self.nursery.ended(self.crew.worker) is not None:
            if self.crew.worker:
                self.crew.kills += 1
                self.control.aim("")
                self.let_time_pass()
            self.crew.worker = self.nursery.bear({**self.birth, "role": "worker"})

    def end_worker(self) -> None:
        """Kill the worker at whatever it is doing; none follows until somebody looks after it."""
        if self.crew.worker and self.nursery.ended(self.crew.worker) is None:
            os.kill(self.crew.worker, signal.SIGKILL)
            self.nursery.wait(self.crew.worker, _PATIENCE)
        self.crew.worker = 0
        self.let_time_pass()

    def died(self) -> bool:
        """Whether the worker has died by SIGKILL; anything else it ends by is a fault of the product."""
        status = self.nursery.ended(self.crew.worker)
        assert status in (None, signal.SIGKILL), f"the worker ended with {status}: {self.birth['log']}"
        return status is not None

    def visit(self, role: str, **told: Any) -> bool:
        """A door at work in a process of its own; whether it died by SIGKILL on its way."""
        child = self.nursery.bear({**self.birth, "role": role, "told": told})
        status = self.nursery.wait(child, _PATIENCE)
        assert status in (0, signal.SIGKILL), f"the door ended with {status}: {self.birth['log']}"
        self.crew.kills += status == signal.SIGKILL
        return status == signal.SIGKILL

    def let_time_pass(self) -> None:
        """What ends by itself within a minute: calls of those who died, and by the database's clock their slots,
        leases and limits."""
        assert requests.get(f"{self.upstream_url}/idle", timeout=40).ok
        with self.wiring.database.engine.begin() as connection:
            for table in (t.slots, t.limits):
                connection.execute(sa.delete(table))
            connection.execute(sa.delete(t.leases).where(t.leases.c.name.like("tokens:%")))

    def clear_faults(self, system: str) -> None:
        """Nothing is armed in a system: a walk whose call was never made has left its fault behind."""
        answer = requests.post(f"{self.upstream_url}/{system}/_control/faults/clear", json={}, timeout=10)
        assert answer.ok, answer.text

    def hush(self) -> None:
        """Nothing is due by the clock until a walk asks for it: what a walk passes is the walk's own."""
        with self.wiring.database.engine.begin() as connection:
            connection.execute(_scheduled().values(next_at=self.now() + timedelta(days=3650)))

    def make_everything_due(self, connection_id: int | None = None) -> None:
        """Let what the schedule holds, for one connection or all, be due now, and the hourly tasks of housekeeping."""
        due = _scheduled().values(next_at=self.now())
        if connection_id is not None:
            due = due.where(t.schedules.c.connection_id == connection_id)
        with self.wiring.database.engine.begin() as connection:
            connection.execute(due)
            connection.execute(sa.delete(t.leases).where(t.leases.c.name == "task:retention"))

    def mails(self) -> list[dict[str, Any]]:
        """What the mail server was given."""
        return list(requests.get(f"{self.upstream_url}/mailbox/mails", timeout=10).json())

    def forget_a_schedule(self) -> None:
        """Let one connection be without a schedule, as it is when it has just become active."""
        with self.wiring.database.engine.begin() as connection:
            chosen = connection.execute(sa.select(sa.func.min(t.schedules.c.connection_id))).scalar_one()
            connection.execute(sa.delete(t.schedules).where(t.schedules.c.connection_id == chosen))

    def unfinished(self, *, nightly: bool = False) -> list[str]:
        """Work that is due or dead, and why. Access is renewed again and again once the product's clock is ahead of
        the real one, which tokens live by; the many pages of `nightly` work are nobody's concern but the night's."""
        beside = ("release", "renew") if nightly else ("release", "renew", "full_sweep", "drift")
        w = t.work.c
        with self.wiring.database.engine.connect() as connection:
            rows = connection.execute(
                sa.select(w.id, w.state, w.error, w.next_at).where(
                    sa.or_(w.state == "dead", sa.and_(w.state == "pending", w.kind.not_in(beside)))
                )
            )
            return [f"{row.state} {row.id}: {row.error}" for row in rows]

    def drain(self) -> None:
        """Wait until no work is left but what waits for a customer's half hour."""
        self.settle(lambda: not self.unfinished())


def _scheduled() -> sa.Update:
    """What has a time of its own; some tasks of some systems never have."""
    return sa.update(t.schedules).where(t.schedules.c.state == "on")


@contextmanager
def stage(database_url: str, directory: Path, *, passed: Path | None = None) -> Iterator[Stage]:
    """A stage with a signed-up merchant; nothing is connected, and no worker lives yet.

    `passed`: where processes write the name of every checkpoint they pass.
    """
    prepare_database(database_url)
    control = Control(directory / "control")
    with (
        patch.dict(os.environ, OAUTHLIB_INSECURE_TRANSPORT="1"),
        upstream_process(directory) as (upstream, mail_port),
        (directory / "nursery.log").open("wb") as nursery_log,
    ):
        made: list[tuple[Wiring, Flask]] = []
        environment: dict[str, str] = {}
        more = {"DUEBRIDGE_SMTP_HOST": "127.0.0.1", "DUEBRIDGE_SMTP_PORT": str(mail_port)}

        def build(url: str) -> Flask:
            environment.update(environment_of(database_url, url, upstream, more))
            whole = wire(read_settings(environment), clock=control.now, timing=TIMING, dispatch=dispatch)
            wiring = with_weak(whole, ALL, upstream)
            app = create_app(wiring)
            made.append((wiring, app))
            return app

        dispatch = Dispatcher(database_url)
        nursery = Nursery("tests.faults.children", nursery_log)
        with serve_at(build) as product:
            ((wiring, app),) = made
            for name in (*SYSTEMS, "sandbox"):
                body = {
                    "url": f"{product.url}/webhooks/{name}",
                    "secret": CREDENTIALS[f"DUEBRIDGE_{name.upper()}_WEBHOOK_SECRET"],
                }
                assert requests.post(f"{upstream}/{name}/_control/webhooks", json=body, timeout=10).ok
            here = Stage(
                wiring,
                app,
                cast(Upstreams, _Remote(upstream)),
                product.url,
                upstream,
                control=control,
                nursery=nursery,
                birth={
                    "settings": environment,
                    "control": str(directory / "control"),
                    "log": str(directory / "workers.log"),
                    "passed": str(passed) if passed else "",
                    "weak": upstream,
                },
            )
            here.merchant_id = sign_up_merchant(wiring)
            try:
                yield here
            finally:
                here.end_worker()
                nursery.close()
                assert requests.get(f"{upstream}/idle", timeout=40).ok
                close_when_idle(wiring.database.engine)
                dispatch.close()
