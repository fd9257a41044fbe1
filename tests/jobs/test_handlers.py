"""Every kind of work has somebody who does it."""

from __future__ import annotations

import inspect

from connector.domain.work import Work
from connector.jobs.handlers import TABLE

# Joined in by the roof, because webhooks are a wing of their own.
_BY_THE_ROOF = {Work.DELIVERY}


def test_every_kind_of_work_has_a_handler() -> None:
    assert set(TABLE) | _BY_THE_ROOF == set(Work)
    assert not set(TABLE) & _BY_THE_ROOF


def test_handlers_take_the_wiring_and_the_item() -> None:
    for kind, handler in TABLE.items():
        assert list(inspect.signature(handler).parameters) == ["wiring", "item"], kind
