// A new key can be copied, and is gone from the page once the page is left: "back" must not show it again.
// Nor must going back or reloading send the form again: as far as history knows, this page was asked for by GET.
const key = document.getElementById("new-key");
const copy = document.getElementById("copy");
const told = document.getElementById("copied");

if (navigator.clipboard) {
  copy.hidden = false;
  copy.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(key.textContent);
      told.textContent = "Copied.";
    } catch {
      told.textContent = "Your browser does not let this page copy: select the key and copy it yourself.";
    }
  });
}
history.replaceState(null, "", location.pathname);
addEventListener("pagehide", () => {
  key.textContent = "";
  copy.hidden = true;
});
