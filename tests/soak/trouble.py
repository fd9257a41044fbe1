"""What goes wrong: faults of the upstreams by their switches, and kill -9 of web and workers."""

from __future__ import annotations

import random
import time
from collections import Counter
from typing import Any

import requests

from tests.soak.processes import Running

# kind -> (how often, of which systems, for which operations)
_ALL = ("quickbooks", "xero", "sandbox")
_FAULTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "drop_before_commit": (4, _ALL),
    "drop_after_commit": (5, _ALL),
    "error_before_commit": (4, _ALL),
    "error_after_commit": (5, _ALL),
    "html_503": (3, _ALL),
    "truncated_json": (4, _ALL),
    "slow": (3, _ALL),
    "throttle": (1, ("xero", "sandbox")),
    "expire_tokens": (3, ("quickbooks", "xero")),
    "revoke_tokens": (1, ("quickbooks", "xero")),
    "duplicate_webhooks": (4, _ALL),
    "reorder_webhooks": (4, _ALL),
    "hold_webhooks": (1, ("sandbox",)),
}
_OPERATIONS = {
    # Not "*": while access has ended, whatever is armed would wait for the consents of the merchant's next tries.
    "quickbooks": ("payment.*", "payment.create", "payment.query", "invoice.*", "cdc", "token.refresh"),
    "xero": ("payment.*", "payment.create", "payment.list", "invoice.*", "token.refresh"),
    "sandbox": ("*", "checkout.create", "checkout.*", "payment.get", "refund.create"),
}


class Faults:
    """Arms faults and counts them."""

    def __init__(self, upstream: str, chance: random.Random) -> None:
        self._upstream = upstream
        self._chance = chance
        self.counts: Counter[str] = Counter()

    def arm_one(self) -> None:
        """One fault, somewhere."""
        kinds = list(_FAULTS)
        kind = self._chance.choices(kinds, [_FAULTS[name][0] for name in kinds])[0]
        system = self._chance.choice(_FAULTS[kind][1])
        body: dict[str, Any] = {"kind": kind, "times": self._chance.choice((1, 1, 1, 2, 3))}
        body["operation"] = "*" if kind.endswith("webhooks") else self._chance.choice(_OPERATIONS[system])
        if kind == "slow":
            body["seconds"] = round(self._chance.uniform(0.3, 1.8), 1)
        if kind == "throttle":
            body["seconds"] = 2
        if kind == "revoke_tokens":
            body["times"] = 1
        self._post(system, "faults", body)
        self.counts[f"{system} {kind}"] += int(body["times"])
        if kind == "hold_webhooks":
            time.sleep(5.0)
            self._post(system, "faults/clear", {"kind": kind})

    def clear(self) -> int:
        """Disarm everything; how many of the armed faults never happened."""
        left = 0
        for system in _ALL:
            # Asked by arming one more, which every simulator answers with what is armed.
            body = {"kind": "slow", "operation": "nothing", "times": 1, "seconds": 0.01}
            armed = self._post(system, "faults", body)
            rules = armed.get("armed") or armed.get("rules") or []
            left += sum(int(rule["times"]) for rule in rules) - 1
            self._post(system, "faults/clear", {})
        return left

    def let_time_pass(self, seconds: float) -> None:
        """The upstreams' clock goes ahead, so that what a vendor sends again in an hour is sent now."""
        self._post("sandbox", "clock", {"advance_seconds": seconds})

    def _post(self, system: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = requests.post(f"{self._upstream}/{system}/_control/{path}", json=body, timeout=30)
        assert answer.ok, f"{system} {path} {body}: {answer.status_code} {answer.text[:200]}"
        found: dict[str, Any] = answer.json()
        return found


class Kills:
    """kill -9 of a worker, of all workers, of the web process, or of all of them together."""

    def __init__(self, everything: Running, chance: random.Random) -> None:
        self._everything = everything
        self._chance = chance
        self.counts: Counter[str] = Counter()

    def kill_one(self) -> None:
        """Somebody dies and is started again."""
        roll = self._chance.random()
        if roll < 0.05:
            victims = self._everything.killable
        elif roll < 0.2:
            victims = list(self._everything.workers)
        elif roll < 0.3:
            victims = [self._everything.web]
        else:
            victims = [self._chance.choice(self._everything.workers)]
        for victim in victims:
            victim.kill()
            self.counts[victim.name] += 1

    def revive(self) -> list[str]:
        """Start what ended by itself, which nothing should; the names of all that did so."""
        for process in self._everything.killable:
            if not process.alive():
                process.ended_by_itself += 1
                process.start()
        return [process.name for process in self._everything.killable if process.ended_by_itself]
