"""Seals what must not be read from a copy of the database: OAuth tokens, link tokens, mail values."""

from __future__ import annotations

import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES = 12


class CannotOpen(Exception):
    """The sealed value belongs elsewhere, was changed, or its key is no longer configured."""


class Vault:
    """AES-256-GCM with the key's id in front, so that keys can be rotated: the first seals, all open.

    Sealed form: one byte with the length of the key id, the key id, a random nonce, ciphertext with tag.
    """

    def __init__(self, encryption_keys: Sequence[tuple[str, bytes]]) -> None:
        if not encryption_keys:
            raise ValueError("At least one encryption key is needed.")
        self._sealing_id = encryption_keys[0][0]
        self._ciphers = {}
        for key_id, key in encryption_keys:
            if not 0 < len(key_id.encode()) < 256 or len(key) != 32:
                raise ValueError("An encryption key is an id of 1 to 255 bytes and a key of 32 bytes.")
            self._ciphers[key_id] = AESGCM(key)

    def __repr__(self) -> str:
        return f"Vault({', '.join(self._ciphers)})"

    def seal(self, plain: bytes, *, bound_to: str) -> bytes:
        """Seal for one place: `bound_to` (such as 'secrets:7') must be named again to open it."""
        name = self._sealing_id.encode()
        nonce = os.urandom(_NONCE_BYTES)
        return (
            bytes([len(name)]) + name + nonce + self._ciphers[self._sealing_id].encrypt(nonce, plain, bound_to.encode())
        )

    def open(self, sealed: bytes, *, bound_to: str) -> bytes:
        """The plain value. Raises CannotOpen."""
        length = sealed[0] if sealed else 0
        key_id = sealed[1 : 1 + length].decode(errors="replace")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise CannotOpen(
                "A sealed value names an encryption key that is not configured: "
                "put the former key back at the end of DUEBRIDGE_ENCRYPTION_KEYS."
            )
        nonce = sealed[1 + length : 1 + length + _NONCE_BYTES]
        try:
            return cipher.decrypt(nonce, sealed[1 + length + _NONCE_BYTES :], bound_to.encode())
        except (InvalidTag, ValueError):
            raise CannotOpen("A sealed value does not belong where it was found, or was changed.") from None

    def sealed_with_newest(self, sealed: bytes) -> bool:
        """Whether sealing it again would change the key, for moving values to a new key."""
        name = self._sealing_id.encode()
        return sealed.startswith(bytes([len(name)]) + name)
