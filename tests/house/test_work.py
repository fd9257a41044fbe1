"""Every kind of work has a handler, and every adapter that is there is registered."""

from __future__ import annotations

from connector.app import HANDLERS
from connector.domain.work import Work
from integrations import registry
from tests.house.source_tree import files

HANDS = ("connector.journeys.", "connector.jobs.", "webhooks.dispatch", "connector.mail")


def test_every_kind_of_work_has_a_handler() -> None:
    assert set(HANDLERS) == set(Work)


def test_handlers_belong_to_journeys_jobs_or_the_dispatch() -> None:
    strays = {
        str(kind): handler.__module__
        for kind, handler in HANDLERS.items()
        if not f"{handler.__module__}.".startswith(HANDS)
    }
    assert not strays


def test_every_adapter_is_registered_under_its_folders_name() -> None:
    folders = {
        kind: {
            path.parts[2]
            for path in files(".py")
            if path.parts[:2] == ("integrations", kind) and path.name == "adapter.py"
        }
        for kind in ("systems", "gateways")
    }
    assert folders == {"systems": set(registry.SYSTEMS), "gateways": set(registry.GATEWAYS)}
    assert {name: adapter.manifest.name for name, adapter in registry.SYSTEMS.items()} == {
        n: n for n in registry.SYSTEMS
    }
    assert {name: adapter.manifest.name for name, adapter in registry.GATEWAYS.items()} == {
        n: n for n in registry.GATEWAYS
    }
