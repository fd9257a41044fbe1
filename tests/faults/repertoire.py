"""Which walks there are for each system."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from tests.faults.quiet_walks import Expired, Mailed, Scheduled, Synced
from tests.faults.walks import Abandoned, Make, Paid, Parked, PartRefused, Refunded, Returned, Unheard
from tests.walks.standing import Place

# What else may happen to the call that records a payment, beside the lost answer and the call that never arrived.
OTHER_FAULTS = ("error_before_commit", "error_after_commit", "html_503", "truncated_json", "throttle")


def walks_of(place: Place, system: str) -> Mapping[str, Make]:
    """Every walk there is for a system, by name."""
    made: dict[str, Make] = {
        "payment": lambda: Paid(place, system),
        "answer lost": lambda: Paid(place, system, fault="drop_after_commit"),
        "never arrived": lambda: Paid(place, system, fault="drop_before_commit"),
        "refund": lambda: Refunded(place, system),
    }
    made |= {fault: partial(Paid, place, system, fault=fault) for fault in OTHER_FAULTS}
    if system.endswith("_parts"):
        return {
            "three parts": lambda: Paid(place, system, parts=3),
            "second part refused": lambda: PartRefused(place, system),
        }
    if system.startswith("weak_"):
        return made
    made |= {
        "late return": lambda: Returned(place, system),
        "voided meanwhile": lambda: Parked(place, system),
        "left behind": lambda: Abandoned(place, system),
        "reading": lambda: Synced(place, system),
        "token renewed": lambda: Expired(place, system),
        "night": lambda: Scheduled(place, system),
    }
    if system == "quickbooks":
        made["mail"] = lambda: Mailed(place, system)
        made["page opened unheard"] = lambda: Unheard(place, system)
    return made
