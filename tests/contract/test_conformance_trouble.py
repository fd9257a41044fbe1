"""Trouble on the wire: what certainly did not happen is TryAgain, what may have is Unclear. Every system."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

import pytest

from connector.contract import Answer, TryAgain, Unclear
from connector.domain.records import Kind
from tests.contract.rigs import SystemRig, Taken, manifest_of
from tests.contract.test_conformance_links import lines, spot

Ask = Callable[[SystemRig, Taken], object]


def _page(rig: SystemRig, taken: Taken) -> object:
    return rig.system.page(rig.access, Kind.INVOICE, rig.system.first_cursor(rig.access, Kind.INVOICE, None))


# The name of the operation to disturb, and the call.
READS: dict[str, Ask] = {
    "invoice": lambda rig, taken: rig.system.invoice(rig.access, str(rig.books()[0]["id"])),
    "page": _page,
    "find": lambda rig, taken: rig.system.find_payment(rig.access, taken.intent(uuid.uuid4().hex)),
    "*": lambda rig, taken: rig.system.accounts(rig.access),
}
reads = pytest.mark.parametrize("ask", sorted(READS))
LOST = ("drop_before_commit", "drop_after_commit", "error_before_commit", "error_after_commit", "html_503")


@reads
@pytest.mark.parametrize("fault", [*LOST, "truncated_json"])
def test_a_reading_in_trouble_may_be_tried_again(rig: SystemRig, taken: Taken, ask: str, fault: str) -> None:
    rig.fault(fault, rig.operations.get(ask, ask))
    with pytest.raises(TryAgain) as told:
        READS[ask](rig, taken)
    assert told.value.why.endswith(".") and told.value.after > 0
    READS[ask](rig, taken)


@reads
def test_a_reading_that_takes_too_long_may_be_tried_again(
    rig: SystemRig, taken: Taken, ask: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.fault("slow", rig.operations.get(ask, ask), seconds=1.2)
    monkeypatch.setattr(rig, "system", rig.fresh(seconds=0.4))
    with pytest.raises(TryAgain):
        READS[ask](rig, taken)
    # The upstream is still busy with it: what the next test lets go wrong must not meet this call.
    time.sleep(1.2)


@reads
def test_asked_to_slow_down_we_are_told_for_how_long(rig: SystemRig, taken: Taken, ask: str) -> None:
    rig.fault("throttle", rig.operations.get(ask, ask))
    with pytest.raises(TryAgain) as told:
        READS[ask](rig, taken)
    assert 1 <= told.value.after <= 3600
    limiter = rig.system._session.transport._limiter  # type: ignore[attr-defined]
    assert limiter.pushed and limiter.pushed[-1][1] == told.value.after, "everybody else waits, too"


def test_a_payment_slowed_down_was_certainly_not_made(rig: SystemRig, taken: Taken) -> None:
    if manifest_of(rig).capabilities.payment == "none":
        pytest.skip(f"{manifest_of(rig).title} takes no payments (payment='none').")
    intent = taken.intent(uuid.uuid4().hex)
    rig.fault("throttle", rig.operations["record"])
    with pytest.raises(TryAgain):
        rig.system.record_payment(rig.access, intent)
    assert taken.standing(intent.key) == []


@pytest.mark.parametrize("fault", LOST)
def test_a_text_that_may_have_been_written_is_unclear(rig: SystemRig, taken: Taken, fault: str) -> None:
    if "place" not in rig.operations:
        capabilities = manifest_of(rig).capabilities
        pytest.skip(f"{manifest_of(rig).title} writes no text on invoices (link={capabilities.link!r}).")
    (invoice,) = taken.invoices()
    here = spot(invoice.remote_id)
    rig.fault(fault, rig.operations["place"])
    with pytest.raises(Unclear):
        rig.system.place_link(rig.access, here)
    rig.system.place_link(rig.access, here)
    assert lines(rig.text(invoice.remote_id)) == [here.line], "placed once, whatever had happened"


def test_nobody_at_home_is_certainly_nothing_done(rig: SystemRig, taken: Taken) -> None:
    """The connection is refused before anything is sent, for a write as well."""
    adapter = rig.fresh()
    config = adapter._config  # type: ignore[attr-defined]
    away = type(config)(
        {name: "http://127.0.0.1:9" for name in config.endpoints}, config.credentials, config.webhook_secrets, {}
    )
    nobody = type(adapter)(away, adapter._session.transport._limiter)  # type: ignore[attr-defined]
    with pytest.raises(TryAgain):
        nobody.invoice(rig.access, "1")
    if manifest_of(rig).capabilities.payment != "none":
        with pytest.raises(TryAgain):
            nobody.record_payment(rig.access, taken.intent(uuid.uuid4().hex))


def test_no_trouble_shows_a_token(rig: SystemRig, taken: Taken) -> None:
    for fault in (*LOST, "throttle", "truncated_json"):
        rig.fault(fault, rig.operations["invoice"])
        with pytest.raises(Answer) as told:
            READS["invoice"](rig, taken)
        shown = f"{told.value} {told.value!r} {told.value.__cause__!r}"
        assert rig.tokens.access not in shown and rig.tokens.refresh not in shown
