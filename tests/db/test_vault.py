"""What is sealed opens only with its key, in its place, unchanged."""

from __future__ import annotations

import pytest

from connector.db.vault import CannotOpen, Vault

_OLD = ("2025", bytes(range(32)))
_NEW = ("2026", bytes(range(1, 33)))


def test_what_is_sealed_opens_and_does_not_show_what_it_holds() -> None:
    vault = Vault([_NEW])
    sealed = vault.seal(b"refresh-token", bound_to="secrets:7")
    assert b"refresh-token" not in sealed
    assert vault.open(sealed, bound_to="secrets:7") == b"refresh-token"
    assert vault.seal(b"refresh-token", bound_to="secrets:7") != sealed


def test_a_value_does_not_open_in_another_place() -> None:
    vault = Vault([_NEW])
    with pytest.raises(CannotOpen, match="does not belong"):
        vault.open(vault.seal(b"token", bound_to="secrets:7"), bound_to="secrets:8")


def test_a_wrong_key_of_the_same_name_does_not_open() -> None:
    sealed = Vault([_NEW]).seal(b"token", bound_to="here")
    with pytest.raises(CannotOpen, match="does not belong"):
        Vault([("2026", bytes(32))]).open(sealed, bound_to="here")


def test_rotation_opens_the_old_and_seals_with_the_new() -> None:
    sealed = Vault([_OLD]).seal(b"token", bound_to="here")
    rotated = Vault([_NEW, _OLD])
    assert rotated.open(sealed, bound_to="here") == b"token"
    assert not rotated.sealed_with_newest(sealed)
    again = rotated.seal(b"token", bound_to="here")
    assert rotated.sealed_with_newest(again)
    assert Vault([_NEW]).open(again, bound_to="here") == b"token"


def test_a_key_taken_away_is_named_as_the_cause() -> None:
    sealed = Vault([_OLD]).seal(b"token", bound_to="here")
    with pytest.raises(CannotOpen, match="DUEBRIDGE_ENCRYPTION_KEYS"):
        Vault([_NEW]).open(sealed, bound_to="here")


def test_every_changed_byte_is_noticed() -> None:
    vault = Vault([_NEW])
    sealed = vault.seal(b"token", bound_to="here")
    for position in range(len(sealed)):
        changed = bytearray(sealed)
        changed[position] ^= 1
        with pytest.raises(CannotOpen):
            vault.open(bytes(changed), bound_to="here")


@pytest.mark.parametrize("sealed", [b"", b"\x04", b"\x042026", b"\x042026" + bytes(12), b"\xff" * 40])
def test_what_was_never_sealed_is_refused(sealed: bytes) -> None:
    with pytest.raises(CannotOpen):
        Vault([_NEW]).open(sealed, bound_to="here")


def test_keys_that_cannot_seal_are_refused() -> None:
    with pytest.raises(ValueError):
        Vault([])
    with pytest.raises(ValueError):
        Vault([("short", b"only sixteen byt")])


def test_a_vault_never_shows_its_keys() -> None:
    assert repr(Vault([_NEW, _OLD])) == "Vault(2026, 2025)"
