// What the modules of the page share: what is shown, and how a fault is said.
import { Fault } from "./data.js";
import { $, h } from "./dom.js";

// map, store, about (the product's document) and panel are set as they come
export const page = { map: null, store: null, about: null, panel: null, variable: null, range: null, filters: {}, wanted: new Set(), shown: 0, loaded: 0, turns: 0, home: true, missing: [] };

export const shownVariable = () => page.about.variables[page.variable];

// soft: the page works on, and the fault can be closed
export function fail(error, soft = false) {
  const known = error instanceof Fault;
  if (!known) console.warn(error);
  $("faulttext").textContent = known ? error.message : `Something went wrong: ${error.message}`;
  $("faultcure").textContent = known ? error.cure : "Reload the page; if it comes again, please report it.";
  $("fault").className = soft ? "now soft" : "now";
  $("fault").querySelector("h2").textContent = !soft ? "This page cannot show the store" : known && error.title ? error.title : "That could not be read";
  $("fault").hidden = false;
  const box = $("fault").firstElementChild;
  box.querySelector("button")?.remove();
  if (soft) box.append(h("button", { type: "button", onclick: unsaid }, "Close"));
  document.body.dataset.error = known ? error.kind : "unexpected";
}

export function unsaid() {
  if ($("fault").classList.contains("soft")) $("fault").hidden = true;
}

export const guarded = (work) => (...args) => Promise.resolve().then(() => work(...args)).catch((error) => fail(error, true));
