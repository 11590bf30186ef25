"use strict";
// While a payer is chosen or typed: who is there already, and the trap of two payers with one name. The site decides
// and words it; where it can't be asked, the same is said when the form is saved.
(() => {
  const PAUSE = 350;

  function region(after) {
    const made = document.createElement("div");
    made.className = "truss-hint";
    made.setAttribute("role", "status");
    made.setAttribute("aria-live", "polite");
    after.append(made);
    return made;
  }

  function show(place, { warning, heading, similar }) {
    place.replaceChildren();
    place.classList.toggle("truss-hint-warning", Boolean(warning));
    if (warning) {
      const said = document.createElement("p");
      said.textContent = warning;
      place.append(said);
    }
    if (!similar.length) return;
    const head = document.createElement("p");
    head.textContent = heading;
    const list = document.createElement("ul");
    for (const { text, url } of similar) {
      const link = document.createElement("a");
      link.href = url;
      link.target = "_blank";
      link.textContent = text;
      const item = document.createElement("li");
      item.append(link);
      list.append(item);
    }
    place.append(head, list);
  }

  function asker(url, form, place) {
    let latest = 0;
    let last = "";
    return async (given) => {
      const asked = JSON.stringify(given);
      if (asked === last) return;
      last = asked;
      latest += 1;
      const mine = latest;
      const token = form.querySelector("[name=csrfmiddlewaretoken]").value;
      const body = new URLSearchParams({ ...given, csrfmiddlewaretoken: token });
      let told = { warning: "", heading: "", similar: [] };
      try {
        const answer = await fetch(url, { method: "POST", body });
        if (answer.ok) told = await answer.json();
      } catch {
        // Saving says it.
      }
      if (mine === latest) show(place, told);
    };
  }

  function watchChoice(select) {
    const row = select.closest(".form-row") ?? select.parentElement;
    const ask = asker(select.dataset.trussHints, select.form, region(row));
    const look = () => ask({ contact: select.value });
    // Select2 tells jQuery of a choice, and nobody else.
    if (globalThis.django?.jQuery) globalThis.django.jQuery(select).on("change", look);
    else select.addEventListener("change", look);
    if (select.value) look();
  }

  function watchTyping(name) {
    const { form } = name;
    const field = (id) => form.querySelector(`#id_${id}`);
    const row = name.closest(".form-row") ?? name.parentElement;
    const ask = asker(name.dataset.trussHints, form, region(row));
    let timer = 0;
    const look = () => {
      clearTimeout(timer);
      timer = setTimeout(() => ask({
        pk: name.dataset.trussPk,
        company: field("company")?.value ?? "",
        name: name.value,
        email: field("email")?.value ?? "",
      }), PAUSE);
    };
    for (const input of [name, field("email"), field("company")]) input?.addEventListener("input", look);
  }

  function start() {
    for (const field of document.querySelectorAll("[data-truss-hints]")) {
      if (field.tagName === "SELECT") watchChoice(field);
      else watchTyping(field);
    }
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
