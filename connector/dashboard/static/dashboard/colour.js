// Shows a chosen colour in the preview at once; without it the Preview button does the same.
const field = document.querySelector("input[name=colour]");
const sheet = document.querySelector("#preview-colours");
if (field && sheet) {
  field.addEventListener("change", () => {
    sheet.href = `/settings/brand/preview.css?colour=${encodeURIComponent(field.value)}`;
  });
}
