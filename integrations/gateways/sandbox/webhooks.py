"""Webhooks of the sandbox gateway: verified on the raw bytes, read as references only."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from connector.contract import Refused
from connector.domain.records import Event
from integrations.gateways.sandbox.manifest import SIGNATURE_HEADER
from integrations.gateways.sandbox.wire import WireEvent
from integrations.signing import header, recent, signed_hex

# Made here, where there is one thread: msgspec crashes the process when two threads are the first to use a type.
_event = msgspec.json.Decoder(WireEvent)
_SIGNATURE = re.compile(r"t=([0-9]{1,12}),v1=([0-9a-f]{64})", re.ASCII)


def verify(headers: Mapping[str, str], raw: bytes, secrets: Sequence[str], now: datetime) -> bool:
    """Whether `Sandbox-Signature: t=<unix>,v1=<hex>` signs "t.body" with one of the secrets, within five minutes."""
    found = _SIGNATURE.fullmatch(header(headers, SIGNATURE_HEADER))
    if found is None:
        return False
    stamp, signature = found.groups()
    return signed_hex(signature, stamp.encode() + b"." + raw, secrets) and recent(stamp, now)


def parse(raw: bytes) -> Sequence[Event]:
    """The one event of a verified body; `remote_id` is the checkout to fetch again, `tenant` our reference."""
    try:
        event = _event.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise Refused("The sandbox's webhook is not in the form its API describes.", "unreadable") from error
    return (Event(event.data.reference, event.type, event.data.checkout, event.id, event.created),)
