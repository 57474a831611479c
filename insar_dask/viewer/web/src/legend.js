// What the colours mean, and which points are shown: the controls beside the map.
import { remember } from "./address.js";
import { complete, refilter } from "./cloud.js";
import { classColour, css, table } from "./colour.js";
import { $, asGiven, digits, h, said } from "./dom.js";
import { iso } from "./fit.js";
import { fail, guarded, page, shownVariable } from "./page.js";

const FILTERS = { coherence: "least", rmse: "most", n_dates: "least" };
const TOWARD = { los: ["away from the satellite", "toward the satellite"], up: ["down", "up"], east: ["to the west", "to the east"] };

function meaning(name, spec) {
  const { said: words, limit } = page.about;
  if (spec.absent) return "No value is stored to colour points by. `insar-dask products STORE` makes velocities.";
  if (spec.kind === "signed" && TOWARD[words.component]) {
    const [less, more] = TOWARD[words.component];
    const last = name === "departure" ? `, median of the last ${page.about.alarms?.lasting ?? "few"} dates` : "";
    return `Red ← ${less}; blue → ${more}${last}`;
  }
  if (name === "exceedance" && limit) {
    return `of lying ${limit.threshold < 0 ? "below" : "above"} ${asGiven(limit.threshold)} mm on ${iso(limit.day)}`;
  }
  if (name === "cluster") return `${numbered(words.component)}; shapes repeat every four`;
  return spec.units ? `in ${spec.units}` : "without unit";
}

function numbered(component) {
  const { by, units } = page.about.patterns ?? { by: "velocity" }; // an overview of before does not tell
  if (by !== "velocity") return `from the lowest ${by} [${units}] to the highest`;
  const [less, more] = TOWARD[component] ?? TOWARD.los;
  return `from what moves ${less} fastest to what moves ${more}`;
}

// the map is coloured once the values have come; if they do not, it stays as it was
async function colourBy(name) {
  const before = page.variable;
  page.variable = name;
  try {
    await Promise.all(page.map.chunks.map((chunk) => complete(chunk)));
  } catch (error) {
    if (page.variable === name) $("variable").value = page.variable = before;
    throw error;
  }
  if (page.variable !== name) return;
  page.range = shownVariable().range;
  recolour();
  remember();
}

export function recolour() {
  const { about, map } = page;
  const spec = shownVariable();
  const classes = spec.kind === "class";
  $("meaning").textContent = meaning(page.variable, spec);
  $("legend").hidden = $("range").hidden = classes || Boolean(spec.absent);
  $("classes").hidden = !classes;
  if (classes) {
    const all = [...Array(spec.classes).keys(), -1];
    $("classes").replaceChildren(...all.map((i) => classBox(i, spec)));
  } else {
    const colours = table(spec.kind);
    const stops = Array.from({ length: 33 }, (_, i) => Math.min(8 * i, 255)).map((i) => css(colours.slice(3 * i, 3 * i + 3)));
    $("legend").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    const places = digits(spec.step);
    [$("low").value, $("high").value] = page.range.map((x) => Number(x.toFixed(places)));
    $("legend").setAttribute("aria-label", `colours from ${said(page.range[0], places)} to ${said(page.range[1], places)} ${spec.units}`);
  }
  patternsLeft();
  map.colour(page.variable, spec, page.range, about.missing);
}

// a filter by pattern is said where its boxes are not to be seen
function patternsLeft() {
  const wanted = page.filters.cluster;
  $("patterns").hidden = !wanted || shownVariable().kind === "class";
  if (wanted) $("patterns").firstElementChild.textContent = `Patterns ${[...wanted].sort((a, b) => a - b).map((i) => (i < 0 ? "none" : i)).join(", ")} only`;
}

const refiltered = guarded(async () => {
  patternsLeft();
  await refilter();
  remember();
});

function classBox(i, spec) {
  const wanted = page.filters.cluster;
  const box = h("input", { type: "checkbox", checked: !wanted || wanted.has(i) });
  box.onchange = () => {
    const all = Array.from({ length: spec.classes + 1 }, (_, k) => k - 1);
    const now = new Set(page.filters.cluster ?? all);
    box.checked ? now.add(i) : now.delete(i);
    if (now.size === all.length) delete page.filters.cluster;
    else page.filters.cluster = now;
    return refiltered();
  };
  const colour = i < 0 ? "rgb(58, 61, 66)" : css(classColour(i, spec.classes));
  return h("li", {}, h("label", {}, box, h("i", { colour, class: i < 0 ? "" : `shape${i % 4}` }), i < 0 ? "none" : String(i)));
}

// an end that was typed; of a signed variable the other end follows
function ranged(event) {
  const spec = shownVariable();
  const [low, high] = [Number($("low").value), Number($("high").value)];
  if ($("low").value !== "" && $("high").value !== "" && low < high) {
    page.range = [low, high];
    if (spec.kind === "signed") {
      const reach = Math.max(Math.abs(event.target === $("low") ? low : high), spec.step);
      page.range = [-reach, reach];
    }
  }
  recolour();
  remember();
}

// limits are those of the data, with room for what is rounded
function slider(name, end) {
  const spec = page.about.variables[name];
  const [low, high] = spec.limits;
  if (low === high) return null;
  const step = Math.max(spec.step, Number(((high - low) / 200).toPrecision(1)));
  const [first, last] = [Math.floor(low / step) * step, Math.ceil(high / step) * step];
  const free = end === "least" ? first : last;
  const places = digits(step);
  const input = h("input", { type: "range", id: `only-${name}`, min: first, max: last, step });
  const output = h("output", { for: `only-${name}` });
  const show = () => {
    const wanted = page.filters[name];
    const value = wanted ? wanted[end === "least" ? 0 : 1] : free;
    input.value = String(value);
    output.textContent = wanted ? `${end === "least" ? "≥" : "≤"} ${said(value, places)} ${spec.units}` : "all";
    input.setAttribute("aria-valuetext", output.textContent);
  };
  const apply = async (before) => {
    show();
    try {
      await refilter();
    } catch (error) {
      before ? (page.filters[name] = before) : delete page.filters[name];
      show();
      fail(error, true);
    }
    remember();
  };
  input.oninput = () => {
    const before = page.filters[name];
    const value = Number(input.value);
    if (Math.abs(value - free) < step / 2) delete page.filters[name];
    else page.filters[name] = end === "least" ? [value, last + step] : [first - step, value];
    return apply(before);
  };
  show();
  return h("div", { class: "filter" }, h("label", { for: `only-${name}` }, spec.label), output, input);
}

export function buildFilters() {
  const known = Object.entries(FILTERS).filter(([name]) => name in page.about.variables);
  $("filters").replaceChildren(...known.map(([name, end]) => slider(name, end)).filter(Boolean));
}

// once; the products change, the controls stay
export function connectLegend() {
  $("variable").onchange = guarded(() => colourBy($("variable").value));
  $("low").onchange = $("high").onchange = ranged;
  $("rangeback").onclick = () => {
    page.range = shownVariable().range;
    recolour();
    remember();
  };
  $("allpatterns").onclick = () => {
    delete page.filters.cluster;
    return refiltered();
  };
}
