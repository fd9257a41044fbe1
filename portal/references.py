"""How pages name an invoice without telling its number in our tables: one block of a cipher, the same every time."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from collections.abc import Sequence
from functools import lru_cache

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

_BLOCK = 16
_PAIR = struct.Struct(">QQ")
_SHAPE = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)


class References:
    """Turns row numbers into 22 base64url characters and back. A reference opens nothing by itself: every use is
    looked up within the scope of the door it came through."""

    def __init__(self, secret_key: str) -> None:
        key = hashlib.sha256(b"portal references\0" + secret_key.encode()).digest()[:_BLOCK]
        # A block stands alone and half of it is zeros, which is what makes an invented one fail; no chaining is wanted.
        self._cipher = Cipher(algorithms.AES(key), modes.ECB())  # noqa: S305

    def name(self, ids: Sequence[int]) -> list[str]:
        """References of many rows at the cost of one call."""
        blocks = self._cipher.encryptor().update(b"".join([_PAIR.pack(0, number) for number in ids]))
        # With two bytes more each block fills 24 characters, so all of them are written by one call.
        padded = b"".join([blocks[start : start + _BLOCK] + b"\0\0" for start in range(0, len(blocks), _BLOCK)])
        written = base64.urlsafe_b64encode(padded).decode()
        return [written[start : start + 22] for start in range(0, len(written), 24)]

    def find(self, reference: str) -> int | None:
        """The row a reference names, or None for one that was never given out."""
        if not _SHAPE.fullmatch(reference):
            return None
        decryptor = self._cipher.decryptor()
        zeros, number = _PAIR.unpack(decryptor.update(base64.urlsafe_b64decode(reference + "==")))
        return number if zeros == 0 else None


@lru_cache(maxsize=8)
def references_of(secret_key: str) -> References:
    """The references of an installation."""
    return References(secret_key)
