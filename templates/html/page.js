"use strict";
(() => {
  const body = document.body, status = document.getElementById("status");

  // ---------------------------------------------------------------- switches

  for (const input of document.querySelectorAll(".switches input"))
    input.addEventListener("change", () => { body.dataset[input.name] = input.value; });

  // ---------------------------------------------------------------- equations, vertices and lines that belong together

  const together = new Map();
  for (const element of document.querySelectorAll("[data-equation]"))
    for (const name of element.dataset.equation.split("|").filter(Boolean))
      together.set(name, [...(together.get(name) || []), element]);

  let pinned = null;
  const quiet = matchMedia("(prefers-reduced-motion: reduce)");

  const show = (source) => {
    for (const element of document.querySelectorAll(".lit")) element.classList.remove("lit");
    if (!source) return;
    const found = source.dataset.equation.split("|").flatMap((name) => together.get(name) || []);
    for (const element of found) element.classList.add("lit");
    for (const panel of new Set(found.map((element) => element.closest(".wide"))))
      if (panel && panel !== source.closest(".wide") && panel.clientHeight)
        reveal(found.filter((element) => panel.contains(element)), panel);
  };

  // Scroll a panel to the nearest of some elements, unless one of them is in sight.
  const reveal = (elements, panel) => {
    const outer = panel.getBoundingClientRect();
    const away = elements.map((element) => {
      const inner = element.getBoundingClientRect();
      return inner.bottom < outer.top + 8 ? inner.top - outer.top : inner.top > outer.bottom - 8 ? inner.bottom - outer.bottom : 0;
    });
    const nearest = away.reduce((a, b) => (Math.abs(b) < Math.abs(a) ? b : a));
    if (!nearest) return;
    const top = panel.scrollTop + nearest + (Math.sign(nearest) * outer.height) / 3;
    panel.scrollTo({ top, behavior: quiet.matches ? "auto" : "smooth" });
  };

  const start = document.getElementById("loss-and-grad");
  if (start) {
    const panel = start.closest(".wide");
    panel.scrollTop += start.getBoundingClientRect().top - panel.getBoundingClientRect().top;
  }

  const pin = (element) => {
    pinned = pinned === element ? null : element;
    show(pinned);
    status.textContent = pinned ? "kept; Escape lets go" : "";
  };

  for (const svg of document.querySelectorAll("svg.graph")) svg.setAttribute("role", "group");
  for (const element of new Set([...together.values()].flat())) {
    if (element.matches("g")) {
      element.setAttribute("tabindex", "0");
      element.setAttribute("role", "button");
      element.setAttribute("aria-label", element.querySelector("title").textContent);
    }
    element.addEventListener("pointerenter", () => pinned || show(element));
    element.addEventListener("pointerleave", () => pinned || show(null));
    element.addEventListener("focus", () => pinned || show(element));
    element.addEventListener("blur", () => pinned || show(null));
    element.addEventListener("click", (event) => event.target.closest("button, summary, details") || pin(element));
    element.addEventListener("keydown", (event) => {
      if (event.target === element && (event.key === "Enter" || event.key === " ")) {
        event.preventDefault();
        pin(element);
      }
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && pinned) pin(pinned);
  });

  // ---------------------------------------------------------------- copying

  const copied = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      return done;
    }
  };
  for (const button of document.querySelectorAll("button.copy"))
    button.addEventListener("click", async () => {
      const done = await copied(button.dataset.latex);
      const words = button.textContent;
      status.textContent = done ? "copied as LaTeX" : "the browser does not let this page copy";
      button.textContent = done ? "copied" : "not copied";
      button.focus();
      setTimeout(() => { button.textContent = words; }, 1500);
    });

  // ---------------------------------------------------------------- within another page: what is chosen outlives an edit

  if (parent !== window) {
    const tell = () => parent.postMessage({ ...body.dataset, top: scrollY }, "*");
    addEventListener("scroll", tell, { passive: true });
    addEventListener("change", tell);
    addEventListener("message", ({ source, data }) => {
      if (source !== parent) return;
      for (const name of ["form", "notation"]) {
        const input = document.querySelector(`input[name="${name}"][value="${CSS.escape(String(data[name]))}"]`);
        if (input) { input.checked = true; body.dataset[name] = input.value; }
      }
      scrollTo(0, Number(data.top) || 0);
    });
  }

  // ---------------------------------------------------------------- paper

  let opened = [];
  addEventListener("beforeprint", () => {
    opened = [...document.querySelectorAll("section > details:not([open])")];
    for (const details of opened) details.open = true;
  });
  addEventListener("afterprint", () => { for (const details of opened) details.open = false; });
})();
