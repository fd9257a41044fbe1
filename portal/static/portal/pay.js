// Ticks an invoice as soon as its amount is changed. Without it the customer ticks it by hand.
for (const amount of document.querySelectorAll("#pay input.money")) {
  amount.addEventListener("input", () => {
    const box = amount.closest("tr").querySelector("input[type=checkbox]");
    if (box) box.checked = true;
  });
}
