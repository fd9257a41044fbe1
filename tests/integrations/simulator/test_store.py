"""Documents are kept in order, exactly, all or nothing, and across a restart."""

from __future__ import annotations

import threading
from decimal import Decimal
from pathlib import Path

import pytest

from integrations.simulator.store import Store, from_json, to_json


def test_documents_come_back_in_insertion_order_also_after_an_edit() -> None:
    store = Store(None)
    for id in ("b", "a", "c"):
        store.put("letter", id, {"id": id})
    store.put("letter", "b", {"id": "b", "edited": True})
    store.put("number", "1", {"id": "1"})
    assert [doc["id"] for doc in store.all("letter")] == ["b", "a", "c"]
    assert store.get("letter", "b") == {"id": "b", "edited": True}
    assert store.count("letter") == 3
    store.delete("letter", "a")
    store.delete("letter", "never there")
    assert [id for id, _ in store.bodies("letter")] == ["b", "c"]
    assert store.get("letter", "a") is None
    assert store.body("letter", "a") is None


def test_amounts_are_kept_as_they_are_spelled() -> None:
    store = Store(None)
    store.put("amount", "1", {"a": Decimal("0.10"), "b": Decimal("1234567890.12345"), "c": 5000, "d": 2**60})
    assert store.body("amount", "1") == b'{"a":0.10,"b":1234567890.12345,"c":5000,"d":1152921504606846976}'
    back = store.get("amount", "1")
    assert back == {"a": Decimal("0.10"), "b": Decimal("1234567890.12345"), "c": 5000, "d": 2**60}
    assert str(from_json(to_json([Decimal("1.10")]))[0]) == "1.10"


def test_a_transaction_that_raises_leaves_nothing() -> None:
    store = Store(None)
    store.put("a", "1", {"n": 1})
    with pytest.raises(ZeroDivisionError), store.transaction():
        store.put("a", "1", {"n": 2})
        store.put("a", "2", {"n": 2})
        raise ZeroDivisionError
    assert store.all("a") == [{"n": 1}]


def test_an_inner_transaction_takes_back_only_its_own_writes() -> None:
    store = Store(None)
    with store.transaction():
        store.put("a", "outer", {})
        with pytest.raises(ZeroDivisionError), store.transaction():
            store.put("a", "inner", {})
            raise ZeroDivisionError
        with store.transaction():
            store.put("a", "second", {})
    assert [id for id, _ in store.bodies("a")] == ["outer", "second"]


def test_a_restart_on_the_same_path_keeps_everything_but_the_uncommitted(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    store = Store(path)
    store.put("a", "1", {"name": "株式会社さくら"})
    store.close()
    again = Store(path)
    assert again.all("a") == [{"name": "株式会社さくら"}]
    again.close()


def test_many_threads_count_up_without_losing_one() -> None:
    store = Store(None)
    store.put("counter", "n", {"value": 0})

    def count() -> None:
        for _ in range(50):
            with store.transaction():
                doc = store.get("counter", "n")
                assert doc is not None
                store.put("counter", "n", {"value": doc["value"] + 1})

    threads = [threading.Thread(target=count) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.get("counter", "n") == {"value": 300}
