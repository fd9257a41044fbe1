"""Whom the seeded company bills, and for what."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from importlib import resources
from typing import Literal


@dataclass(frozen=True)
class Customer:
    """A billed firm or person; `parent` names the customer this one is a job or branch of."""

    key: str
    name: str
    given_name: str
    family_name: str
    email: str | None
    phone: str
    street: str
    city: str
    postal_code: str
    country: str
    currency: str
    taxable: bool
    active: bool = True
    parent: str = ""


@dataclass(frozen=True)
class Item:
    """A service on the price list; the price is in US cents."""

    key: str
    name: str
    description: str
    unit: Literal["hour", "month", "piece"]
    price_cents: int
    taxable: bool


ITEMS: tuple[Item, ...] = (
    Item("I01", "Managed workstation", "Managed workstation, per device and month", "month", 4500, False),
    Item("I02", "Managed server", "Managed server with monitoring, per month", "month", 18900, False),
    Item("I03", "Help desk", "Help desk and remote support", "hour", 11500, False),
    Item("I04", "On-site work", "On-site engineer", "hour", 14500, False),
    Item("I05", "Backup storage", "Off-site backup, per 100 GB and month", "month", 1299, False),
    Item("I06", "Web design", "Web design and layout", "hour", 12500, False),
    Item("I07", "Hosting", "Web hosting, business plan, per month", "month", 2995, False),
    Item("I08", "SSL certificate", "TLS certificate, one year", "piece", 8900, False),
    Item("I09", "Laptop", "Business laptop 14 inch, configured", "piece", 129900, True),
    Item("I10", "Network switch", "24-port managed switch", "piece", 34950, True),
    Item("I11", "Cabling", "Cat 6A cabling, per outlet", "piece", 7425, True),
    Item("I12", "Security training", "Security awareness training, per seat", "piece", 3333, False),
)


def _customers() -> tuple[Customer, ...]:
    text = resources.files(__package__).joinpath("customers.csv").read_text(encoding="utf-8")
    return tuple(
        Customer(
            key=row["key"],
            name=row["name"],
            given_name=row["given_name"],
            family_name=row["family_name"],
            email=row["email"] or None,
            phone=row["phone"],
            street=row["street"],
            city=row["city"],
            postal_code=row["postal_code"],
            country=row["country"],
            currency=row["currency"],
            taxable=row["taxable"] == "yes",
            active=row["active"] == "yes",
            parent=row["parent"],
        )
        for row in csv.DictReader(text.splitlines())
    )


CUSTOMERS: tuple[Customer, ...] = _customers()
