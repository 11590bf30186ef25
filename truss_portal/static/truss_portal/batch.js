"use strict";
// Keeps a batch's page up to date while it isn't finished: fetches the part that changes, and replaces what differs.
document.addEventListener("DOMContentLoaded", () => {
  const FIRST = 2000;
  const SLOWEST = 15000;
  const SAID_EVERY = 10000;

  const root = document.getElementById("truss-batch");
  if (!root) return;
  const said = document.getElementById("truss-batch-said");
  const stale = document.getElementById("truss-batch-stale");
  let pause = FIRST;
  let saidAt = 0;

  const current = () => root.querySelector("[data-truss-progress]");
  const unfinished = () => Number(current().dataset.trussUnfinished) > 0;

  // The control that had the focus has it again, where it is still there: by its id, as it is another element now.
  function replace(part, anew) {
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    part.innerHTML = anew.innerHTML;
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  function show(anew) {
    let differs = false;
    for (const part of current().querySelectorAll("[data-truss-part]")) {
      const its = anew.querySelector(`[data-truss-part="${part.dataset.trussPart}"]`);
      if (its && its.innerHTML !== part.innerHTML) {
        replace(part, its);
        differs = true;
      }
    }
    current().dataset.trussUnfinished = anew.dataset.trussUnfinished;
    return differs;
  }

  // Read aloud now and then, not at every change.
  function say(words, now) {
    if (!now && Date.now() - saidAt < SAID_EVERY) return;
    saidAt = Date.now();
    said.textContent = words;
  }

  async function fetched() {
    const answer = await fetch(root.dataset.trussFragment, { credentials: "same-origin", cache: "no-store" });
    if (!answer.ok) throw new Error(String(answer.status));
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const anew = page.querySelector("[data-truss-progress]");
    // Such as the login's page, where the session has ended.
    if (!anew) throw new Error("not the progress of a batch");
    return anew;
  }

  async function look() {
    if (!document.hidden) {
      try {
        const anew = await fetched();
        stale.hidden = true;
        const differs = show(anew);
        pause = differs ? FIRST : Math.min(pause * 1.2, SLOWEST);
        if (differs) say(anew.dataset.trussWords, !unfinished());
      } catch {
        stale.hidden = false;
        pause = Math.min(pause * 2, SLOWEST);
      }
    }
    if (unfinished()) setTimeout(look, pause);
    else stale.hidden = true;
  }

  if (unfinished()) setTimeout(look, pause);
});
