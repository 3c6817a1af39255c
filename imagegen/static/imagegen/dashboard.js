// Charts by keyboard: left and right go from step to step, and what a step says is shown and read out.
"use strict";

for (const plot of document.querySelectorAll(".dash-plot")) {
    const columns = [...plot.querySelectorAll(".dash-column")];
    const told = plot.querySelector("output");
    let at = -1;

    const show = (next) => {
        columns[at]?.classList.remove("shown");
        at = next;
        columns[at]?.classList.add("shown");
        const words = columns[at]?.querySelectorAll(".dash-tip > *") ?? [];
        told.textContent = [...words].map((word) => word.textContent.trim()).join(", ");
    };

    plot.addEventListener("focus", () => { if (plot.matches(":focus-visible")) show(columns.length - 1); });
    plot.addEventListener("blur", () => show(-1));
    plot.addEventListener("keydown", (event) => {
        const last = columns.length - 1;
        const to = { ArrowLeft: at < 0 ? last : at - 1, ArrowRight: at + 1, Home: 0, End: last }[event.key];
        if (event.key === "Escape") show(-1);
        if (to === undefined) return;
        event.preventDefault();
        show(Math.min(Math.max(to, 0), last));
    });
}
