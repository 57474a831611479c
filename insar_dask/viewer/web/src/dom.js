// Elements; text of a store enters as text and never as markup.
export const $ = (id) => document.getElementById(id);

export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "colour") element.style.background = value;
    else if (typeof value === "boolean") element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const digits = (step) => Math.max(0, Math.min(6, -Math.floor(Math.log10(step) + 1e-9)));

// a number as people write it: a real minus sign, so many digits
export function said(value, places = 2) {
  if (!Number.isFinite(value)) return "none";
  return value.toFixed(places).replace(/^-(?=.*[1-9])/, "−").replace(/^-/, "");
}

// a number that somebody chose, with the places that it was given
export const asGiven = (value) => String(value).replace("-", "−");

export const counted = (n) => n.toLocaleString("en-GB");

export function save(name, blob) {
  const link = h("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
