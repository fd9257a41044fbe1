"""Looks at pages as people have them: narrow and wide, light and dark; keeps pictures and names what is wrong."""

from __future__ import annotations

from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, ConsoleMessage, Error, Page

NARROW, WIDE = 360, 1280
# A page served with an error's status is told to the console as a resource that did not load; the page itself counts.
_NOT_LOADED = "Failed to load resource: the server responded with a status of"
_LEFT = "Execution context was destroyed"


class Camera:
    """One person's window. `complaints` is what the browser said against our pages since it was opened."""

    def __init__(self, context: BrowserContext, pictures: Path, width: int) -> None:
        self.page: Page = context.new_page()
        self.complaints: list[str] = []
        self._pictures = pictures
        self._width = width
        self._number = 0
        self._adjust(width, dark=False)
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"{self.page.url}: {error}"))

    def look(self, name: str) -> None:
        """Take four pictures of the page that is open. Fails when it is wider than a window or axe finds a serious
        fault; in the picture's name stands its place on the way."""
        self._number += 1
        for width, dark in ((NARROW, False), (NARROW, True), (WIDE, False), (WIDE, True)):
            self._adjust(width, dark=dark)
            try:
                self._inspect(name, width, dark=dark)
            except Error as interrupted:
                if _LEFT not in interrupted.message:
                    raise
                # The page has just reloaded itself, as some do while they wait: the look is taken at what it is now.
                self.page.wait_for_load_state()
                self._inspect(name, width, dark=dark)
        self._adjust(self._width, dark=False)

    def _inspect(self, name: str, width: int, *, dark: bool) -> None:
        scheme = "dark" if dark else "light"
        self.page.screenshot(
            path=self._pictures / f"{self._number:02}-{name}-{width}-{scheme}.png", full_page=True, caret="initial"
        )
        wide = self.page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{name} is {wide} pixels wide in a window of {width}: {self._culprits(width)}"
        # Contrast depends on the scheme and structure on the width: these two have all of it.
        if dark == (width == NARROW):
            assert not (found := self._faults()), f"{name}, {width} px, {scheme}: {found}"

    def _faults(self) -> list[str]:
        found = Axe().run(self.page).response["violations"]
        return [
            f"{fault['id']} ({fault['impact']}): {[node['html'][:160] for node in fault['nodes'][:3]]}"
            for fault in found
            if fault["impact"] in ("serious", "critical")
        ]

    def _culprits(self, width: int) -> str:
        names: list[str] = self.page.evaluate(
            """width => [...document.body.querySelectorAll("*")]
                .filter(one => one.getBoundingClientRect().right > width + 1)
                .map(one => one.outerHTML.slice(0, 100))""",
            width,
        )
        return "; ".join(names[:3])

    def _adjust(self, width: int, *, dark: bool) -> None:
        self.page.set_viewport_size({"width": width, "height": 780 if width == NARROW else 900})
        self.page.emulate_media(color_scheme="dark" if dark else "light")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not message.text.startswith(_NOT_LOADED):
            self.complaints.append(f"{message.location.get('url', '')}: {message.text}")
