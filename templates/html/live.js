"use strict";
(() => {
  const [text, numbers, problem, state, view, models, outputs] =
    ["text", "numbers", "problem", "state", "view", "models", "outputs"].map((id) => document.getElementById(id));
  let latest = 0, kept = null, waiting = 0;

  const ask = (name, signal) =>
    fetch(`/${name}`, { method: "POST", headers: { "Content-Type": "text/plain" }, body: text.value, signal });

  // ---------------------------------------------------------------- errors stand under their line

  const lineHeight = () => parseFloat(getComputedStyle(text).lineHeight);

  const place = () => {
    numbers.scrollTop = text.scrollTop;
    const line = Number(problem.dataset.line);
    problem.style.top = `${Math.max(0, 8 + (line || 0) * lineHeight() - text.scrollTop)}px`;
  };

  const complain = (error) => {
    problem.hidden = !error;
    problem.replaceChildren();
    text.setAttribute("aria-invalid", error ? "true" : "false");
    if (!error) return;
    problem.dataset.line = error.line;
    if (error.line) {
      const caret = document.createElement("code");
      caret.setAttribute("aria-hidden", "true");
      caret.textContent = " ".repeat(Math.max(0, error.column - 1)) + "^".repeat(Math.max(1, Math.min(error.length, 60)));
      problem.append(caret);
    }
    const where = error.line ? `line ${error.line}, column ${error.column}: ` : "";
    problem.append(where + error.message + (error.hint ? `\n${error.hint}` : ""));
    place();
  };

  // ---------------------------------------------------------------- edits

  const count = () => {
    const lines = text.value.split("\n").length;
    numbers.textContent = Array.from({ length: lines }, (_, k) => k + 1).join("\n");
  };

  const update = async () => {
    const own = ++latest;
    state.textContent = "deriving …";
    try {
      const answer = await ask("page");
      const found = await answer.json();
      if (own !== latest) return; // somebody went on typing
      complain(found.error);
      state.textContent = found.error ? "not derived" : ["derived", ...(found.warnings || [])].join("; ");
      if (found.content) view.srcdoc = found.content;
    } catch {
      if (own === latest) state.textContent = "the server does not answer";
    }
  };

  text.addEventListener("input", () => {
    count();
    clearTimeout(waiting);
    waiting = setTimeout(update, 250);
  });
  text.addEventListener("scroll", place);
  addEventListener("resize", place);

  models.addEventListener("change", () => {
    const chosen = models.selectedOptions[0];
    if (!chosen.dataset.text) return;
    text.value = chosen.dataset.text;
    models.value = "";
    kept = null;
    count();
    update();
  });

  // ---------------------------------------------------------------- the answer keeps what was chosen in it

  addEventListener("message", ({ source, data }) => { if (source === view.contentWindow) kept = data; });
  view.addEventListener("load", () => { if (kept) view.contentWindow.postMessage(kept, "*"); });

  // ---------------------------------------------------------------- files

  outputs.addEventListener("change", async () => {
    const { value, dataset: { file } } = outputs.selectedOptions[0];
    outputs.value = "";
    if (!value) return;
    state.textContent = `making ${file} …`;
    try {
      const answer = await ask(value);
      if (!answer.ok) {
        complain((await answer.json()).error);
        state.textContent = `${file} could not be made`;
        return;
      }
      const link = document.createElement("a");
      link.href = URL.createObjectURL(await answer.blob());
      link.download = file;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 10000);
      state.textContent = `${file} is downloaded`;
    } catch {
      state.textContent = "the server does not answer";
    }
  });

  count();
  update();
})();
