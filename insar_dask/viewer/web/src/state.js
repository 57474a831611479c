// What the address of the page says after its #: enough to see the same again.

const number = (text) => (text !== "" && Number.isFinite(Number(text)) ? Number(text) : null);
const short = (x) => String(Number(x.toPrecision(11)));

function pair(text) {
  const found = (text ?? "").split("~").map(number);
  return found.length === 2 && found.every((x) => x !== null) && found[0] <= found[1] ? found : null;
}

export function encode(state) {
  const words = new URLSearchParams();
  if (state.product) words.set("product", state.product);
  if (state.variable) words.set("colour", state.variable);
  if (state.range) words.set("range", state.range.map(short).join("~"));
  if (state.view) words.set("view", state.view.map(short).join("~"));
  for (const [name, wanted] of Object.entries(state.filters ?? {})) {
    words.set(`only.${name}`, wanted instanceof Set ? [...wanted].sort((a, b) => a - b).join(".") : wanted.map(short).join("~"));
  }
  for (const { row, id } of state.points ?? []) words.append("point", `${row}~${id}`);
  if (state.tab && state.tab !== "series") words.set("tab", state.tab);
  if (state.area) words.set("area", state.area);
  if (state.lines) words.set("lines", state.lines.join("."));
  return words.toString();
}

// what is no value is left out: an address is somebody else's text; what names a variable that is not there is told as gone
export function decode(text, variables = null) {
  const words = new URLSearchParams(text.replace(/^#/, ""));
  const state = { filters: {}, points: [] };
  if (words.has("lines")) state.lines = words.get("lines").split(".").filter((name) => ["fit", "smooth", "forecast", "foretold", "difference", "hold"].includes(name));
  if (words.get("product")) state.product = words.get("product");
  const gone = [];
  const known = (name) => !variables || Object.hasOwn(variables, name) || (gone.push(name), false);
  const colour = words.get("colour");
  if (colour && variables?.[colour]?.kind === "flag") gone.push(colour);
  else if (colour && known(colour)) state.variable = colour;
  const range = pair(words.get("range"));
  if (range && range[0] < range[1]) state.range = range;
  const view = (words.get("view") ?? "").split("~").map(number);
  if (view.length === 3 && view.every((x) => x !== null) && view[2] > 0) state.view = view;
  for (const [key, value] of words) {
    const name = key.startsWith("only.") ? key.slice(5) : null;
    if (!name || !known(name)) continue;
    if (["class", "flag"].includes(variables?.[name].kind)) state.filters[name] = new Set(value.split(".").map(number).filter((x) => x !== null));
    else if (pair(value)) state.filters[name] = pair(value);
  }
  for (const one of words.getAll("point").slice(0, 5)) {
    const at = one.indexOf("~");
    const row = number(one.slice(0, at));
    if (at > 0 && Number.isInteger(row) && row >= 0 && !state.points.some((point) => point.row === row)) state.points.push({ row, id: one.slice(at + 1) });
  }
  const near = (words.get("near") ?? "").split("~").map(number);
  if (near.length === 2 && near.every((x) => x !== null)) state.near = near;
  if (words.get("area")) state.area = words.get("area");
  const tab = words.get("tab");
  if (["components", "table"].includes(tab)) state.tab = tab;
  if (gone.length) state.gone = [...new Set(gone)];
  return state;
}
