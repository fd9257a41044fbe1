"""Which rate limits are in force: the manifest's, or what an operator has been granted instead."""

from __future__ import annotations

from dataclasses import replace

from connector.manifest import AdapterConfig, Manifest, RateLimit

DAY = 86_400.0
_HOUR = 3600


def limits_in_force(manifest: Manifest, config: AdapterConfig) -> tuple[RateLimit, ...]:
    """The manifest's limits, or those of the options, budgets last. Raises ValueError for an option that is no figure.

    `rate` is 'calls/seconds', several separated by commas, and stands for all limits; `day_limit` is a number of
    calls a day for one organisation.
    """
    limits = _rates(manifest, config.options.get("rate", "")) or manifest.limits
    if day := config.options.get("day_limit", ""):
        limits = (*(limit for limit in limits if limit.period != DAY), _day(manifest, day))
    # Budgets are asked last: what another limit holds back must not be spent from them.
    return (*(limit for limit in limits if limit.burst), *(limit for limit in limits if not limit.burst))


def _rates(manifest: Manifest, text: str) -> tuple[RateLimit, ...]:
    # Where places rest they are a limit by the second, which an operator's figures stand for as well.
    in_flight = max((limit.in_flight for limit in manifest.limits if not limit.rest), default=0)
    limits = []
    for part in filter(None, text.split(",")):
        calls, _, seconds = part.strip().partition("/")
        if not (_is_figure(calls) and _is_figure(seconds) and int(calls) > 0):
            raise ValueError(f"DUEBRIDGE_{manifest.name.upper()}_RATE must read calls/seconds, for example 500/60.")
        # By the hour and longer an even pace would hold back what is needed now.
        burst = max(1, int(calls) // 50) if int(seconds) < _HOUR else 0
        limits.append(RateLimit(int(calls), float(max(int(seconds), 1)), burst, in_flight))
        in_flight = 0
    return tuple(limits)


def _day(manifest: Manifest, text: str) -> RateLimit:
    if not (_is_figure(text) and int(text) > 0):
        raise ValueError(f"DUEBRIDGE_{manifest.name.upper()}_DAY_LIMIT must be a whole number, for example 5000.")
    declared = next((limit for limit in manifest.limits if limit.period == DAY), RateLimit(0, DAY, burst=0))
    return replace(declared, limit=int(text), kept=None)


def _is_figure(text: str) -> bool:
    return text.isascii() and text.isdigit()
