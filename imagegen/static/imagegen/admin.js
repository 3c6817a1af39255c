// What htmx leaves to us on the pages of the admin: faults said in words, and a list that fills a field.
"use strict";

const say = (target, sentence) => {
  const note = document.createElement("div");
  note.className = "easel-note easel-bad";
  note.textContent = sentence;
  target.replaceChildren(note);
};

// A session that has ended answers with the page to log in, which is no result.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (new URL(event.detail.xhr.responseURL).pathname.endsWith("/login/")) {
    event.detail.shouldSwap = false;
    say(event.detail.target, "Your session has ended. Reload the page and log in again.");
  }
});

document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.target.matches("button, form")) {
    event.detail.target.setAttribute("aria-busy", "true");
    event.detail.target.textContent = "One moment…";
  }
});

document.addEventListener("htmx:afterRequest", (event) => {
  event.detail.target.removeAttribute("aria-busy");
});

document.addEventListener("htmx:responseError", (event) => {
  const status = event.detail.xhr.status;
  say(event.detail.target, status === 403 ? "You may not do this." : `Easel answered with an error (${status}). Try again; the log says more.`);
});

document.addEventListener("htmx:sendError", (event) => {
  say(event.detail.target, "Easel could not be reached. Check your network and try again.");
});

document.addEventListener("change", (event) => {
  const field = document.getElementById(event.target.dataset.fills || "");
  if (field && event.target.value) {
    field.value = event.target.value;
  }
});

// Unfold takes whatever htmx swaps in for a page of an inline formset. The fields of an engine are none.
window.addEventListener(
  "htmx:afterSettle",
  (event) => {
    if (event.target.id === "engine-fields") {
      event.stopPropagation();
    }
  },
  true,
);
