"""A worker that pays into an upstream, to be killed at any moment: `python -m tests.jobs.chaos_worker URL UPSTREAM`."""

from __future__ import annotations

import sys
import threading
from dataclasses import replace

import requests

from connector.contract import Unclear
from connector.db.work import WorkItem
from connector.domain.work import Work
from connector.jobs.engine import Dispatcher, Engine
from connector.jobs.housekeeping import Pace
from connector.wiring import Timing, Wiring
from tests.jobs.wired import wired

PACE = Pace(poll=0.05, beat=0.4, dead_after=2.0, sweep=2.0, lost_after=4.0, threads=8)
# The upstream answers within this; the product waits for its own, much longer timeout.
IN_FLIGHT = 1.5


def main(address: str, upstream: str) -> None:
    """Work until killed."""

    def pay(wiring: Wiring, item: WorkItem) -> None:
        if item.sent_at is not None and requests.get(f"{upstream}/{item.id}", timeout=1).status_code == 200:
            return
        with wiring.database.unit_of_work(item.merchant_id) as uow:
            uow.work.mark_sent(item)
        try:
            requests.post(f"{upstream}/{item.id}", timeout=1)
        except requests.RequestException as lost:
            raise Unclear("No answer.") from lost

    wiring = replace(wired(address, Dispatcher(address)), timing=Timing(in_flight=IN_FLIGHT))
    engine = Engine(wiring, {Work.WRITE_BACK: pay}, PACE)
    engine.start()
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
