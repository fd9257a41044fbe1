"""Exact arithmetic of lines, whatever is sent."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from integrations.simulator.store import from_json, to_json
from integrations.systems.xero.simulator.lines import add_up, read_lines, show_lines
from integrations.systems.xero.simulator.wire import amount

_RATES = {"NONE": "0", "OUTPUT": "8.25"}
_LINE = st.fixed_dictionaries(
    {
        "Description": st.just("Work"),
        "Quantity": st.decimals("0.01", "9999", places=2),
        "UnitAmount": st.decimals("0", "99999", places=4),
        "TaxType": st.sampled_from(["NONE", "OUTPUT"]),
        "DiscountRate": st.decimals("0", "100", places=2),
    }
)


@given(
    st.lists(_LINE, min_size=1, max_size=5),
    st.sampled_from(["USD", "JPY", "KWD"]),
    st.sampled_from(["Exclusive", "Inclusive", "NoTax"]),
)
def test_totals_are_the_sum_of_what_is_shown(sent: list[dict[str, object]], currency: str, types: str) -> None:
    lines = read_lines(sent, currency, types, _RATES)
    totals = add_up(lines, types)
    shown = from_json(to_json(show_lines(lines, currency, 4)))
    net, tax = sum(line["LineAmount"] for line in shown), sum(line["TaxAmount"] for line in shown)
    assert Decimal(tax) == amount(totals.tax, currency)
    assert Decimal(net) == amount(totals.total if types == "Inclusive" else totals.subtotal, currency)
    assert totals.total == totals.subtotal + totals.tax
    assert totals.tax == 0 or types != "NoTax"
