"""Walks of a whole connection: its first import with links, and its end. Each is taken by a merchant of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from connector.db.rows import ConnectionRow
from connector.domain.records import Kind
from connector.journeys import connect
from tests.faults.stage import Stage
from tests.faults.upstreams import SECOND_COMPANY
from tests.faults.walks import NIGHTLY, RENEWAL, Walk
from tests.walks.standing import Place


@dataclass
class Imported(Walk):
    """The first import of a small company, with a link on each open invoice."""

    name: ClassVar[str] = "first import"
    # Webhooks of the links just placed may ask for another reading, or not.
    foreign = (*RENEWAL, *NIGHTLY, ".cdc")
    own: Place | None = field(default=None)

    @property
    def here(self) -> Stage:
        stage = (self.own or self.place).here
        assert isinstance(stage, Stage)
        return stage

    @property
    def connection(self) -> int:
        assert self.own is not None
        return self.own.connections[self.system]

    def prepare(self) -> None:
        assert isinstance(self.place.here, Stage)
        here = self.place.here.of_another_merchant(realm=SECOND_COMPANY)
        self.own = Place(here, {self.system: here.connect(self.system, confirm=False)})

    def strike(self) -> None:
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            account = sorted(view.connections.account_ids(self.connection))[0]
        connect.confirm(
            self.here.wiring,
            self.here.merchant_id,
            self.connection,
            history_start=None,
            deposit_account=account,
            place_links=True,
            user_id=1,
        )

    def row(self) -> ConnectionRow:
        """The connection as it stands."""
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            return view.connections.get(self.connection)

    def open_there(self) -> list[str]:
        """The company's open invoices, by the simulator's own books."""
        return [row["id"] for row in self._books() if row["open"]]

    def _books(self) -> list[dict[str, Any]]:
        return self.here.books(f"{self.system}", realm=SECOND_COMPANY)["invoices"]

    def arrived(self) -> bool:
        self.reconnect()
        if not self.row().first_import_done_at:
            return False
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            placed = {row.target for row in view.links.placements(self.connection, ("placed",), 1000)}
        return placed >= set(self.open_there())

    def check(self) -> None:
        with self.here.wiring.database.view(self.here.merchant_id) as view:
            assert all(
                view.invoices.by_remote(self.connection, str(row["id"]), Kind.INVOICE) for row in self._books()
            ), "every invoice is known"
        for row in self._books():
            if row["open"]:
                assert self.here.memo(str(row["sent"])).count("Pay online: ") == 1, "one link on each"


@dataclass
class Disconnected(Imported):
    """The end of a connection: links withdrawn one by one, access given back, tokens forgotten."""

    name: ClassVar[str] = "disconnect"

    def prepare(self) -> None:
        super().prepare()
        super().strike()
        self.here.settle(super().arrived)

    def strike(self) -> None:
        connect.disconnect(self.here.wiring, self.here.merchant_id, self.connection, withdraw_links=True, user_id=1)

    def arrived(self) -> bool:
        return self.row().state == "disconnected"

    def check(self) -> None:
        for row in self._books():
            assert "Pay online: " not in self.here.memo(str(row["sent"])), "nothing of ours is left there"
