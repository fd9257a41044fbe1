// Looks again every few seconds, for five minutes, whether the payment has moved on. Without it there is a Refresh link.
const started = Number(sessionStorage.getItem("waiting") || Date.now());
sessionStorage.setItem("waiting", String(started));
if (Date.now() - started < 300000) setTimeout(() => location.reload(), 4000);
