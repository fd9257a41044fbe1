"""Documents as the accounting system prints them, fetched when somebody asks."""

from __future__ import annotations

from connector.contract import Answer, Gone
from connector.errors import NotFound, Unavailable
from connector.wiring import Wiring


def invoice_pdf(wiring: Wiring, merchant_id: int, connection_id: int, invoice: str) -> bytes:
    """The PDF of an invoice (remote id). Raises NotFound where there is none, Unavailable without an answer."""
    with wiring.database.view(merchant_id) as view:
        connection = view.connections.get(connection_id)
    system = wiring.system(connection.system)
    if not system.manifest.capabilities.pdf:
        raise NotFound("This invoice has no PDF.")
    try:
        return system.invoice_pdf(wiring.access(connection), invoice)
    except Gone as answer:
        raise NotFound("This invoice has no PDF any more.") from answer
    except Answer as answer:
        raise Unavailable(
            f"{system.manifest.title} does not hand out the PDF right now. Please try again in a minute."
        ) from answer
