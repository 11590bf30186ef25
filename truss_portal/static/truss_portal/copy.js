"use strict";
// Copies what a button carries, says so, and lets the site know. Where the clipboard API is missing (plain http) or
// refused, an old command is tried; where that fails too, the text is shown marked, to be copied by hand.
(() => {
  const at = (id) => document.getElementById(id);

  function copyByCommand(text) {
    const focused = document.activeElement;
    const area = document.createElement("textarea");
    area.value = text;
    area.readOnly = true;
    area.className = "truss-unseen";
    document.body.append(area);
    area.select();
    let done = false;
    try {
      done = document.execCommand("copy");
    } catch {
      done = false;
    }
    area.remove();
    focused?.focus({ preventScroll: true });
    return done;
  }

  async function copy(text) {
    if (!navigator.clipboard) return copyByCommand(text);
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return copyByCommand(text);
    }
  }

  function say(button, words) {
    const status = at("truss-copy-status");
    status.textContent = "";
    // A region that is given the same text again is not read again: it must be empty for a moment.
    setTimeout(() => { status.textContent = `${words.dataset.said} ${button.dataset.trussWhat}`; }, 50);
    button.dataset.trussLabel ??= button.textContent;
    button.textContent = words.dataset.done;
    button.classList.add("truss-done");
    clearTimeout(Number(button.dataset.trussTimer));
    button.dataset.trussTimer = setTimeout(() => {
      button.textContent = button.dataset.trussLabel;
      button.classList.remove("truss-done");
    }, 2500);
  }

  function showByHand(text, words) {
    at("truss-copy-dialog-label").textContent = words.dataset.byHand;
    at("truss-copy-dialog-text").value = text;
    at("truss-copy-dialog").showModal();
    at("truss-copy-dialog-text").focus();
    at("truss-copy-dialog-text").select();
  }

  // Best effort: the copy itself is done, whatever becomes of this.
  function record(button, words) {
    const { trussRecord: url, trussIds: ids } = button.dataset;
    if (!url) return;
    const token = words.querySelector("[name=csrfmiddlewaretoken]").value;
    fetch(url, {
      method: "POST",
      body: new URLSearchParams({ ids, csrfmiddlewaretoken: token }),
      keepalive: true,
    }).catch(() => {});
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-truss-copy]");
    if (!button) return;
    const words = at("truss-copy-words");
    const text = button.dataset.trussCopy;
    if (await copy(text)) say(button, words);
    else showByHand(text, words);
    record(button, words);
  });
})();
