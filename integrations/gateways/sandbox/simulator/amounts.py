"""Currencies the sandbox gateway takes, and amounts as a customer reads them.

Source: ISO 4217 list one. The table is the gateway's own, as a real gateway's would be, so that a wrong exponent in
the product shows up as a wrong amount here.
"""

from __future__ import annotations

_TWO_DECIMALS = """
AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK
DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD
KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP
PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH
USD UYU UZS VED VES WST XCD YER ZAR ZMW
"""
_NO_DECIMALS = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_THREE_DECIMALS = "BHD IQD JOD KWD LYD OMR TND"
_FOUR_DECIMALS = "CLF UYW"

_EXPONENTS = {
    **dict.fromkeys(_NO_DECIMALS.split(), 0),
    **dict.fromkeys(_TWO_DECIMALS.split(), 2),
    **dict.fromkeys(_THREE_DECIMALS.split(), 3),
    **dict.fromkeys(_FOUR_DECIMALS.split(), 4),
}
CURRENCIES = frozenset(_EXPONENTS)
_SYMBOLS = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "AUD": "$", "CAD": "$", "NZD": "$", "INR": "₹"}


def display_amount(minor: int, currency: str) -> str:
    """The amount for a person, always with its code: (123450, 'USD') -> '$1,234.50 USD', (1, 'KWD') -> '0.001 KWD'."""
    places = _EXPONENTS[currency]
    whole, fraction = divmod(minor, 10**places)
    digits = f"{whole:,}.{fraction:0{places}d}" if places else f"{whole:,}"
    return f"{_SYMBOLS.get(currency, '')}{digits} {currency}"
