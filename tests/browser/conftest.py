"""The product with its little upstreams, as the demonstration starts them, and people with browser windows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest
from playwright.sync_api import Browser, BrowserContext

from connector.demo.processes import free_ports, running
from connector.demo.surroundings import Surroundings
from tests.browser.camera import NARROW, WIDE, Camera

OpenWindow = Callable[[str, int], Camera]


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    """All processes of a demonstration in a fresh folder, its job engine at work."""
    where = Surroundings(tmp_path_factory.mktemp("demonstration"), *free_ports(3))
    ours = {name: value for name, value in os.environ.items() if not name.startswith("DUEBRIDGE_")}
    with patch.dict(os.environ, ours, clear=True), running(where):
        yield where


@pytest.fixture
def window(browser: Browser, artefacts: Path, request: pytest.FixtureRequest) -> Iterator[OpenWindow]:
    """Opens windows of people who share no cookies. A test fails when its browser had anything to complain about."""
    contexts: list[BrowserContext] = []
    cameras: list[Camera] = []

    def open_window(person: str, width: int) -> Camera:
        context = browser.new_context(
            viewport={"width": width, "height": 800},
            permissions=["clipboard-read", "clipboard-write"],
            has_touch=width == NARROW,
            # A colour on its way to another has no contrast to be judged by.
            reduced_motion="reduce",
        )
        contexts.append(context)
        pictures = artefacts / request.node.name.removeprefix("test_").replace("_", "-") / person
        pictures.mkdir(parents=True, exist_ok=True)
        for old in pictures.glob("*.png"):
            old.unlink()
        cameras.append(Camera(context, pictures, width))
        return cameras[-1]

    yield open_window
    for context in contexts:
        context.close()
    assert [complaint for camera in cameras for complaint in camera.complaints] == []


@pytest.fixture
def merchant(window: OpenWindow) -> Camera:
    """A merchant at a desk."""
    return window("merchant", WIDE)


@pytest.fixture
def customer(window: OpenWindow) -> Camera:
    """A customer with a phone."""
    return window("customer", NARROW)
