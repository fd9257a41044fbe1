// Shows a Copy button beside every read-only address; without it the address can be selected by hand.
for (const box of document.querySelectorAll(".copy")) {
  const field = box.querySelector("input");
  const button = box.querySelector("button");
  if (!field || !button || !navigator.clipboard) continue;
  const label = button.textContent;
  button.hidden = false;
  field.addEventListener("focus", () => field.select());
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(field.value);
      button.textContent = "Copied";
    } catch {
      field.select();
      button.textContent = "Press Ctrl+C";
    }
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}
