"""What people do on the way, click by click."""

from __future__ import annotations

import re
import struct
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import requests
from playwright.sync_api import Error, Locator, Page, expect

from connector.demo.surroundings import Surroundings
from tests.browser.camera import Camera

PATIENCE = 90.0
# The gateway's webhook, the worker and the upstream stand between a click and what follows from it.
SOON = 30_000


def wait_for(what: str, holds: Callable[[], bool]) -> None:
    """Until something holds. Fails the test when it never does."""
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, f"{what} did not happen within {PATIENCE:.0f} seconds"
        time.sleep(0.25)


def follow(control: Locator) -> None:
    """Click a link or a button and wait for the page behind it: what is done next is done there, and not to the page
    that is being left."""
    with control.page.expect_navigation():
        control.click()


def sign_up(page: Page, where: Surroundings, company: str, email: str) -> None:
    """A new company."""
    page.goto(f"{where.public_url}/sign-up")
    page.get_by_label("Company").fill(company)
    page.get_by_label("Your name").fill("Alex Morgan")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill("four words of one’s own")
    follow(page.get_by_role("button", name="Create account"))
    expect(page.get_by_role("heading", level=1)).to_contain_text("to your first payment")


def set_brand(page: Page, where: Surroundings, *, colour: str, email: str) -> None:
    """Colour, logo and help contact."""
    page.goto(f"{where.public_url}/settings/brand")
    page.get_by_label("Colour").fill(colour)
    page.get_by_label("Logo").set_input_files({"name": "logo.png", "mimeType": "image/png", "buffer": logo(colour)})
    page.get_by_label("Address customers may write to").fill(email)
    page.get_by_label("Phone number").fill("+1 555 0100")
    follow(page.get_by_role("button", name="Save"))
    expect(page.get_by_text("Your brand is saved")).to_be_visible()


def choose_sandbox(page: Page, where: Surroundings) -> None:
    """Be paid through the sandbox."""
    page.goto(f"{where.public_url}/settings/payments")
    page.get_by_label("Sandbox payments").check()
    follow(page.get_by_role("button", name="Save"))
    expect(page.get_by_text("Your payment settings are saved")).to_be_visible()


def count_from(page: Page, *, days: int) -> None:
    """Have the dry run count again without what is older than so many days."""
    start = (datetime.now(UTC) - timedelta(days=days)).date().isoformat()
    page.get_by_label("Import invoices dated from").fill(start)
    follow(page.get_by_role("button", name="Count again"))
    expect(page.get_by_text("Counted again.")).to_be_visible()


def confirm_dry_run(page: Page) -> int:
    """Say yes to the dry run; the connection's number."""
    page.get_by_label("Account that payments are booked to").select_option(index=1)
    follow(page.get_by_role("button", name="Confirm and import"))
    expect(page.get_by_text("Confirmed. The import has begun.")).to_be_visible()
    found = re.search(r"/connections/([0-9]+)$", page.url)
    assert found, page.url
    return int(found[1])


def wait_for_import(page: Page, where: Surroundings, connection: int) -> None:
    """Until everything is read; the page shows it by itself."""
    expect(page.get_by_role("heading", name="What is here")).to_be_visible(timeout=PATIENCE * 1000)
    assert progress(page, where, connection)["first_import_done"]


def wait_for_links(page: Page, where: Surroundings, connection: int) -> None:
    """Until no link waits to be placed."""

    def all_placed() -> bool:
        placements = progress(page, where, connection)["placements"]
        return bool(placements["placed"]) and not placements["planned"]

    wait_for("placing links", all_placed)


def progress(page: Page, where: Surroundings, connection: int) -> dict[str, Any]:
    """What the connection's page shows, in numbers."""
    answer = page.request.get(f"{where.public_url}/connections/{connection}/progress.json")
    assert answer.ok
    found: dict[str, Any] = answer.json()
    return found


def open_invoice_page(page: Page, where: Surroundings, number: str) -> None:
    """Search for an invoice in the merchant's list and open it."""
    page.goto(f"{where.public_url}/invoices")
    page.get_by_label("Number or customer").fill(number)
    follow(page.get_by_role("button", name="Show"))
    follow(page.get_by_role("rowheader").get_by_role("link", name=number, exact=True))
    expect(page.get_by_role("heading", level=1)).to_contain_text(number)


def reload_until(page: Page, text: str) -> None:
    """Look again until the page says something."""

    def says() -> bool:
        try:
            page.reload()
            return page.get_by_text(text).first.is_visible()
        except Error:
            # The page is just reloading itself, as some do while they wait; the next look finds it.
            return False

    wait_for(f"“{text}” on {page.url}", says)


def pay_at_sandbox(camera: Camera, name: str) -> None:
    """On the gateway's own page: approve; then the receipt, which comes by itself."""
    page = camera.page
    expect(page.get_by_role("heading", name="Payment", exact=True)).to_be_visible()
    camera.look(name)
    page.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("heading", name="Receipt")).to_be_visible(timeout=SOON)


def upstream_invoices(where: Surroundings, system: str) -> list[dict[str, Any]]:
    """The upstream's own books."""
    answer = requests.get(f"{where.upstream_url}/{system}/_control/books.json", timeout=10)
    found: list[dict[str, Any]] = answer.json()["invoices"]
    return found


def newest_mail(where: Surroundings, recipient: str) -> str:
    """The text of the newest mail to an address, waited for."""
    found: list[str] = []

    def arrived() -> bool:
        mails = requests.get(f"{where.upstream_url}/mailbox/mails", timeout=10).json()
        found[:] = [mail["text"] for mail in mails if recipient in mail["to"]]
        return bool(found)

    wait_for(f"mail to {recipient}", arrived)
    return found[0]


def logo(colour: str) -> bytes:
    """A little PNG: three bars of a colour on nothing."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    width, height = 96, 32
    ink, nothing = bytes((red, green, blue, 255)), bytes(4)
    rows = b"".join(
        b"\0" + b"".join(ink if x % 32 < 22 and y >= (2 - x // 32) * 8 else nothing for x in range(width))
        for y in range(height)
    )
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
