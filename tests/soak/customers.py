"""Customers who pay: one invoice, several, all, a part; twice at once, in two tabs, and with second thoughts."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import requests

from connector.domain.money import Money, minor_to_text, parse
from tests.soak.people import Fields, NoAnswer, Person, fields_of, heard

_AMOUNT = re.compile(r'name="amount-([0-9A-Za-z_-]+)" value="([^"]*)"')
_ALL = re.compile(r'name="all" value="([A-Z]{3}:[0-9]+)"')
_LINK = re.compile(r'href="([^"]*/x/[^"]+)"')
# What is pressed at the gateway, and how often of a hundred.
_BUTTONS = {
    "approve": 58,
    "authenticate": 6,
    "bank_settles": 10,
    "bank_returns": 5,
    "bank_returns_late": 6,
    "decline": 6,
    "cancel": 5,
    "leave": 4,
}
_TRIES = 12


@dataclass
class Customer:
    """Somebody who owes money: their link, and the invoices upstream they may pay by a template's link."""

    name: str
    system: str
    currency: str
    link: str
    person: Person
    invoices: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Story:
    """What customers did: counts of it, and which checkouts came of one form sent more than once."""

    counts: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    same_form: list[set[str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, what: str) -> None:
        """It happened once more."""
        with self._lock:
            self.counts[what] += 1

    def refused(self, words: str) -> None:
        """The portal said no, for a reason."""
        with self._lock:
            self.refusals[re.sub(r"[0-9][0-9.,]*", "…", words)] += 1

    def gave_up(self, after: str) -> None:
        """The customer went away, after this and no answer."""
        with self._lock:
            self.refusals[f"gave up after {after}"] += 1

    def one_form(self, checkouts: set[str]) -> None:
        """One form led to these checkouts: at most one of them may take money."""
        with self._lock:
            self.same_form.append(checkouts)


class Paying:
    """One customer's visit, from the link to the receipt."""

    def __init__(self, product: str, upstream: str, story: Story, chance: random.Random) -> None:
        self._product = product
        self._upstream = upstream
        self._story = story
        self._chance = chance

    def visit(self, customer: Customer) -> None:
        """Open the link, choose, pay, press a button. Whatever is refused is counted with its words."""
        try:
            if customer.invoices and customer.system == "xero" and self._chance.random() < 0.12:
                checkouts = self._by_template(customer)
            else:
                checkouts = self._by_link(customer)
            for checkout in checkouts:
                self._at_the_gateway(customer, checkout)
        except NoAnswer as nobody:
            self._story.count("gave up, nobody answered")
            self._story.gave_up(str(nobody).partition(" http")[0])

    def _by_link(self, customer: Customer) -> list[str]:
        page = _patiently(lambda: customer.person.get(customer.link))
        if page.status_code == 410:
            self._story.count("opened a link that had ended")
            return []
        choice = self._choose(page.text, customer.currency)
        if choice is None:
            self._story.count("found nothing to pay")
            return []
        address = f"{customer.link}/pay"
        roll = self._chance.random()
        if roll < 0.10:
            self._story.count("double submits")
            return self._twice(customer.person, address, choice, choice)
        if roll < 0.18:
            self._story.count("two tabs")
            other = self._choose(_patiently(lambda: customer.person.get(customer.link)).text, customer.currency)
            if self._chance.random() < 0.5 or other is None:
                other = [(name, value) for name, value in choice if name != "form_key"]
                again = _patiently(lambda: customer.person.get(customer.link))
                other.append(("form_key", fields_of(again.text).get("form_key", "")))
            return self._twice(customer.person, address, choice, other)
        answer = self._send(customer.person, address, choice)
        return [answer] if answer else []

    def _by_template(self, customer: Customer) -> list[str]:
        invoice = self._chance.choice(customer.invoices)
        sent = _patiently(lambda: customer.person.get(f"{self._upstream}/xero/sent/{invoice}"))
        found = _LINK.search(sent.text)
        if found is None:
            self._story.count("an invoice without a link")
            return []
        address = found[1].replace("&amp;", "&")
        page = _patiently(lambda: customer.person.get(address))
        fields = fields_of(page.text)
        if "minor" not in fields:
            self._story.count("a template's link that offered no payment")
            return []
        self._story.count("paid by a template's link")
        answer = self._send(customer.person, f"{address.partition('?')[0]}/pay", list(fields.items()))
        return [answer] if answer else []

    def _choose(self, page: str, currency: str) -> list[tuple[str, str]] | None:
        """The form as the customer fills it in; None when there is nothing to choose."""
        form_key = fields_of(page).get("form_key", "")
        rows = [(name, parse(value, currency)) for name, value in _AMOUNT.findall(page)]
        if not rows:
            return None
        everything = _ALL.findall(page)
        if everything and self._chance.random() < 0.06:
            self._story.count("everything at once")
            return [("form_key", form_key), ("all", everything[0])]
        many = self._chance.choice((1, 1, 1, 2, 3))
        picked = self._chance.sample(rows, min(many, len(rows)))
        filled = [("form_key", form_key)]
        for name, due in picked:
            filled += [("pay", name), (f"amount-{name}", self._amount(due))]
        self._story.count("one invoice" if len(picked) == 1 else "several invoices")
        return filled

    def _amount(self, due: Money) -> str:
        """Mostly a part, so that there is something left to pay for the whole run."""
        if due.minor < 400 or self._chance.random() < 0.25:
            return minor_to_text(due.minor, due.currency)
        self._story.count("part of an invoice")
        return minor_to_text(self._chance.randint(due.minor // 50 + 1, due.minor // 8), due.currency)

    def _twice(self, person: Person, address: str, first: Fields, second: Fields) -> list[str]:
        with ThreadPoolExecutor(2) as both:
            sent = [both.submit(self._send, person, address, form) for form in (first, second)]
            checkouts = {checkout for each in sent if (checkout := each.result())}
        if first is second:
            self._story.one_form(checkouts)
        return sorted(checkouts)

    def _send(self, person: Person, address: str, form: Fields) -> str:
        """Press Pay, and again while nobody answers; the checkout's address, or ''."""
        answer = _patiently(lambda: person.post(address, form))
        if answer.status_code == 303 and "/checkout/" in answer.headers["Location"]:
            return answer.headers["Location"]
        self._story.count("led to a receipt" if answer.status_code == 303 else "was refused")
        if answer.status_code != 303:
            self._story.refused(f"{answer.status_code} {heard(answer.text)}")
        return ""

    def _at_the_gateway(self, customer: Customer, checkout: str) -> None:
        button = self._chance.choices(list(_BUTTONS), list(_BUTTONS.values()))[0]
        page = customer.person.get(checkout)
        token = fields_of(page.text).get("form_token")
        if token is None:
            self._story.count("came to a checkout that had ended")
            return
        self._story.count(f"pressed {button}")
        if button == "leave":
            return
        answer = self._press(customer.person, checkout, button, token)
        if button == "authenticate":
            page = customer.person.get(checkout)
            token = fields_of(page.text).get("form_token")
            if token is None:
                return
            answer = self._press(customer.person, checkout, self._chance.choice(("confirm", "confirm", "fail")), token)
        receipt = answer.headers.get("Location", "")
        if receipt.startswith(self._product) and self._chance.random() < 0.5:
            _patiently(lambda: customer.person.get(receipt))

    def _press(self, person: Person, checkout: str, button: str, token: str) -> requests.Response:
        form = {"action": button, "form_token": token}
        if self._chance.random() < 0.1:
            self._story.count("double clicks")
            with ThreadPoolExecutor(2) as both:
                sent = [both.submit(person.post, checkout, form) for _ in range(2)]
                return next(each.result() for each in sent)
        return person.post(checkout, form)


def _patiently(ask: Callable[[], requests.Response]) -> requests.Response:
    """Ask again while nobody answers, as a person reloads a page or presses Pay again. Raises NoAnswer."""
    last = ""
    for _ in range(_TRIES):
        try:
            answer = ask()
            if answer.status_code != 429:
                return answer
            last = "429"
        except NoAnswer as nobody:
            last = str(nobody)
        time.sleep(1.0)
    raise NoAnswer(f"for long {last}")
