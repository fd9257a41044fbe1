// Moves the import's bars without reloading the page; without it the page reloads itself.
const place = document.querySelector("[data-progress]");

function show(kind, now) {
  const box = place.querySelector(`[data-kind="${CSS.escape(kind)}"]`);
  const bar = box?.querySelector("progress");
  const words = box?.querySelector(".num");
  if (!bar || !words) return;
  const total = now.total ?? (now.done ? now.seen : null);
  words.textContent = now.seen.toLocaleString("en") + (total ? ` of ${total.toLocaleString("en")}` : "");
  if (total !== null) {
    bar.max = Math.max(total, 1);
    bar.value = total ? Math.min(now.seen, total) : 1;
  }
}

async function watch() {
  try {
    const answer = await fetch(place.dataset.progress, { headers: { Accept: "application/json" } });
    if (answer.ok) {
      const now = await answer.json();
      for (const [kind, numbers] of Object.entries(now.kinds)) show(kind, numbers);
      if (now.first_import_done || now.state !== "active") {
        location.reload();
        return;
      }
    }
  } catch {
    // The network is away for a moment; the next look will tell.
  }
  setTimeout(watch, 1500);
}

if (place) setTimeout(watch, 1000);
