// The page: what the map shows, what is chosen, and the address that says both.
import { CHOSEN, classColour, css, table } from "./colour.js";
import { Fault, Store } from "./data.js";
import { $, counted, digits, h, said, save } from "./dom.js";
import { PointMap, scaleBar } from "./map.js";
import { inside, nearest, sift } from "./pick.js";
import { Panel, SHOWN } from "./series.js";
import { decode, encode } from "./state.js";

const FILTERS = { coherence: "least", rmse: "most", n_dates: "least" };
const REACH = 12;

const page = { filters: {}, wanted: new Set(), loading: 0, turns: 0 };
let map, store, about, panel;

// for tests: what is shown, as numbers
globalThis.explorer = { page, inside, get map() { return map; }, get panel() { return panel; }, get store() { return store; }, get about() { return about; } };

function fail(error, soft = false) {
  const known = error instanceof Fault;
  if (!known) console.warn(error);
  $("faulttext").textContent = known ? error.message : `Something went wrong: ${error.message}`;
  $("faultcure").textContent = known ? error.cure : "Reload the page; if it comes again, please report it.";
  $("fault").className = soft ? "now soft" : "now";
  $("fault").querySelector("h2").textContent = soft ? "That could not be read" : "This page cannot show the store";
  $("fault").hidden = false;
  if (soft && !$("fault").querySelector("button")) {
    $("fault").firstElementChild.append(h("button", { type: "button", onclick: () => ($("fault").hidden = true) }, "Close"));
  }
  document.body.dataset.error = known ? error.kind : "unexpected";
}

const guarded = (work) => (...args) => work(...args).catch((error) => fail(error, true));

const shownVariable = () => about.variables[page.variable];

// --- the points -------------------------------------------------------------------------------------------------------

const size = (level) => Math.min(about.chunk, about.levels[level]);

// of a product that was left meanwhile nothing is drawn
async function load(level, number) {
  const key = `${level}/${number}`;
  const mine = page.turns;
  if (page.wanted.has(key)) return;
  page.wanted.add(key);
  page.loading += 1;
  try {
    const names = [...new Set([page.variable, ...Object.keys(page.filters)])];
    const found = await store.part(level, number, ["easting", "northing", "row", ...names]);
    if (mine !== page.turns) return;
    const n = Math.min(size(level), about.levels[level] - number * size(level));
    const cut = (name) => found[name].subarray(0, n);
    const chunk = { east: cut("easting"), north: cut("northing"), row: cut("row"), values: {}, level, number, box: about.chunk_boxes[level][number] };
    for (const name of names) chunk.values[name] = cut(name);
    await complete(chunk);
    if (mine !== page.turns) return;
    chunk.shown = sift(chunk, page.filters, about.variables, about.missing);
    map.add(chunk);
    map.chunks.sort((a, b) => a.level - b.level || a.number - b.number);
    page.shown = (page.shown ?? 0) + chunk.shown.reduce((sum, x) => sum + x, 0);
    page.loaded = (page.loaded ?? 0) + n;
    if (!document.body.dataset.first) document.body.dataset.first = String(Math.round(performance.now()));
    count();
  } catch (error) {
    if (mine !== page.turns) return;
    page.wanted.delete(key);
    throw error;
  } finally {
    page.loading -= 1;
  }
}

// arrays that became wanted since the chunk was asked for
async function complete(chunk) {
  for (;;) {
    const names = [page.variable, ...Object.keys(page.filters)].filter((name) => !chunk.values[name]);
    if (!names.length) return;
    const found = await store.part(chunk.level, chunk.number, names);
    for (const name of names) chunk.values[name] = found[name].subarray(0, chunk.east.length);
  }
}

const numbers = (level) => Array.from({ length: Math.ceil(about.levels[level] / size(level)) }, (_, i) => i);

async function loadAll() {
  const mine = page.turns;
  const coarse = about.n_points <= about.at_once ? about.levels.length : Math.min(2, about.levels.length);
  for (let level = 0; level < coarse; level++) {
    await Promise.all(numbers(level).map((number) => load(level, number)));
    if (mine !== page.turns) return;
  }
  document.body.dataset.ready = String(Math.round(performance.now()));
  await loadView();
}

// of a large cube: finer chunks where the view is, once few enough meet it
async function loadView() {
  if (about.n_points <= about.at_once || document.body.dataset.ready === undefined) return;
  const mine = page.turns;
  const [west, south, east, north] = map.bounds();
  for (let level = 2; level < about.levels.length; level++) {
    const meets = numbers(level).filter((i) => {
      const box = about.chunk_boxes[level][i];
      return box[2] >= west && box[0] <= east && box[3] >= south && box[1] <= north;
    });
    if (meets.length * size(level) > about.at_once) return;
    await Promise.all(meets.map((number) => load(level, number)));
    if (mine !== page.turns) return;
  }
}

function count() {
  const all = page.loaded ?? 0;
  const rest = about.n_points - all;
  const of = rest > 0 && about.n_points <= about.at_once ? ` (${counted(rest)} still coming)` : rest > 0 ? `, ${counted(all)} of them on the map` : "";
  $("count").textContent = `${counted(page.shown ?? 0)} of ${counted(about.n_points)} points shown${of}`;
  $("loading").hidden = rest <= 0 || about.n_points > about.at_once;
  $("loading").firstElementChild.style.width = `${(100 * all) / about.n_points}%`;
}

async function refilter() {
  await Promise.all(map.chunks.map(complete));
  page.shown = 0;
  for (const chunk of map.chunks) {
    chunk.shown = sift(chunk, page.filters, about.variables, about.missing);
    page.shown += chunk.shown.reduce((sum, x) => sum + x, 0);
  }
  map.filtered();
  count();
  remember();
}

// --- colours and filters ----------------------------------------------------------------------------------------------

const TOWARD = { los: ["away from the satellite", "toward the satellite"], up: ["down", "up"], east: ["west", "east"] };

function meaning(name, spec) {
  const { component } = about.said;
  if (spec.kind === "signed" && TOWARD[component]) {
    const [less, more] = TOWARD[component];
    return `Red ← ${less}; blue → ${more}`;
  }
  if (name === "exceedance" && about.limit) {
    const { threshold, day } = about.limit;
    return `of lying ${threshold < 0 ? "below" : "above"} ${said(threshold, 0)} mm on ${new Date(day * 86400e3).toISOString().slice(0, 10)}`;
  }
  if (name === "cluster") return "from what moves away fastest to what comes nearer; shapes repeat every four";
  return spec.units ? `in ${spec.units}` : "without unit";
}

async function colourBy(name, range = null) {
  page.variable = name;
  const spec = shownVariable();
  page.range = range ?? spec.range;
  $("variable").value = name;
  await Promise.all(map.chunks.map(complete));
  if (page.variable !== name) return;
  recolour();
}

function recolour() {
  const spec = shownVariable();
  const classes = spec.kind === "class";
  $("meaning").textContent = meaning(page.variable, spec);
  $("legend").hidden = $("range").hidden = classes;
  $("classes").hidden = !classes;
  if (classes) {
    $("classes").replaceChildren(...Array.from({ length: spec.classes + 1 }, (_, i) => i - (i === spec.classes ? spec.classes + 1 : 0)).map((i) => classBox(i, spec)));
  } else {
    const colours = table(spec.kind);
    const stops = Array.from({ length: 33 }, (_, i) => css(colours.slice(24 * i - (i === 32 ? 3 : 0), 24 * i + 3 - (i === 32 ? 3 : 0))));
    $("legend").style.background = `linear-gradient(to right, ${stops.join(", ")})`;
    const places = digits(spec.step);
    [$("low").value, $("high").value] = page.range.map((x) => Number(x.toFixed(places)));
    $("legend").setAttribute("aria-label", `colours from ${said(page.range[0], places)} to ${said(page.range[1], places)} ${spec.units}`);
  }
  map.colour(page.variable, spec, page.range, about.missing);
  remember();
}

function classBox(i, spec) {
  const wanted = page.filters.cluster;
  const box = h("input", { type: "checkbox", checked: !wanted || wanted.has(i) });
  box.onchange = guarded(async () => {
    const all = Array.from({ length: spec.classes + 1 }, (_, k) => k - 1);
    const now = new Set(page.filters.cluster ?? all);
    box.checked ? now.add(i) : now.delete(i);
    if (now.size === all.length) delete page.filters.cluster;
    else page.filters.cluster = now;
    await refilter();
  });
  return h("li", {}, h("label", {}, box, h("i", { colour: i < 0 ? "rgb(58, 61, 66)" : css(classColour(i, spec.classes)), class: i < 0 ? "" : `shape${i % 4}` }), i < 0 ? "none" : String(i)));
}

function ranged() {
  const spec = shownVariable();
  const [low, high] = [Number($("low").value), Number($("high").value)];
  if ($("low").value === "" || $("high").value === "" || !(low < high)) return recolour();
  page.range = [low, high];
  if (spec.kind === "signed") {
    const reach = Math.max(Math.abs(document.activeElement === $("low") ? low : high), spec.step);
    page.range = [-reach, reach];
  }
  recolour();
}

function buildFilters() {
  const boxes = Object.entries(FILTERS).filter(([name]) => name in about.variables).map(([name, end]) => {
    const spec = about.variables[name];
    const [low, high] = spec.limits;
    if (low === high) return null;
    const step = Math.max(spec.step, Number(((high - low) / 200).toPrecision(1)));
    const free = end === "least" ? Math.floor(low / step) * step : Math.ceil(high / step) * step;
    const places = digits(step);
    const slider = h("input", { type: "range", id: `only-${name}`, min: Math.floor(low / step) * step, max: Math.ceil(high / step) * step, step });
    const output = h("output", { for: `only-${name}` });
    const show = () => {
      const wanted = page.filters[name];
      const value = wanted ? wanted[end === "least" ? 0 : 1] : free;
      slider.value = String(value);
      output.textContent = wanted ? `${end === "least" ? "≥" : "≤"} ${said(value, places)} ${spec.units}` : "all";
      slider.setAttribute("aria-valuetext", output.textContent);
    };
    slider.oninput = guarded(async () => {
      const value = Number(slider.value);
      if (Math.abs(value - free) < step / 2) delete page.filters[name];
      else page.filters[name] = end === "least" ? [value, Math.ceil(high / step) * step + step] : [Math.floor(low / step) * step - step, value];
      show();
      await refilter();
    });
    show();
    return h("div", { class: "filter" }, h("label", { for: `only-${name}` }, spec.label), output, slider);
  });
  $("filters").replaceChildren(...boxes.filter(Boolean));
}

// --- the map ----------------------------------------------------------------------------------------------------------

const visible = () => map.chunks;
const near = ([x, y], reach = REACH) => nearest(visible(), ...map.toPlace(x, y), reach * map.view[2]);

const pick = guarded(async (at, add) => {
  const found = near(at);
  if (!found) return;
  $("tip").hidden = $("hint").hidden = true;
  clearTimeout(page.hovering);
  const began = performance.now();
  document.body.dataset.picking = "yes";
  try {
    $("live").textContent = await panel.choose(found.chunk.row[found.i], add);
    page.clickMs = performance.now() - began;
  } finally {
    delete document.body.dataset.picking;
  }
});

function hover(at) {
  const tip = $("tip");
  if (!at || map.moving) {
    tip.hidden = true;
    $("place").textContent = "";
    return;
  }
  const [east, north] = map.toPlace(...at).map((x, i) => x / 10 + about.offset[i]);
  $("place").textContent = `E ${counted(Math.round(east))}  N ${counted(Math.round(north))} m`;
  clearTimeout(page.hovering);
  page.hovering = setTimeout(() => {
    const found = near(at, 8);
    tip.hidden = !found;
    if (!found) return;
    const spec = shownVariable();
    const stored = found.chunk.values[page.variable]?.[found.i];
    const none = spec.kind === "class" ? stored < 0 : stored === about.missing;
    tip.textContent = none ? "no value" : spec.kind === "class" ? `pattern ${stored}` : `${said(stored * spec.step, digits(spec.step))} ${spec.units}`;
    const [x, y] = map.toPixel(found.chunk.east[found.i], found.chunk.north[found.i]);
    tip.style.left = `${Math.min(Math.max(x + 12, 4), map.width - tip.offsetWidth - 4)}px`;
    tip.style.top = `${Math.max(y - 32, 4)}px`;
  }, 20);
}

function drawn() {
  const bar = scaleBar(map.view[2] / 10);
  $("bar").querySelector("i").style.width = `${bar.pixels}px`;
  $("bar").querySelector("b").textContent = bar.text;
}

function lassoMode(on) {
  map.lassoing = on;
  $("lasso").setAttribute("aria-pressed", String(on));
}

const lasso = guarded(async (polygon) => {
  lassoMode(false);
  const began = performance.now();
  const rows = inside(visible(), polygon);
  page.lassoMs = performance.now() - began;
  page.enclosed = rows.length;
  if (!rows.length) {
    $("hint").hidden = false;
    $("hint").textContent = $("live").textContent = "No point lies inside the outline.";
    return;
  }
  $("hint").hidden = true;
  document.body.dataset.picking = "yes";
  try {
    $("live").textContent = await panel.enclose(rows, polygon);
  } finally {
    delete document.body.dataset.picking;
  }
});

// places of rows: of those on the map the exact ones
function placesOf(rows) {
  const wanted = new Map(rows.map((row, i) => [row, i]));
  const found = new Array(rows.length).fill(null);
  for (const chunk of map.chunks) {
    for (let i = 0; i < chunk.row.length; i++) {
      const at = wanted.get(chunk.row[i]);
      if (at !== undefined) found[at] = [chunk.east[i], chunk.north[i]];
    }
  }
  return found;
}

function mark() {
  const places = panel.points.length ? placesOf(panel.points.map((point) => point.row)) : [];
  map.marks = places.flatMap((place, i) => (place ? [{ east: place[0], north: place[1], colour: CHOSEN[i], label: String(i + 1) }] : []));
  map.outline = panel.area?.outline ?? null;
  map.drawOverlay();
  $("savecsv").disabled = !panel.points.length && !panel.area;
}

function remember() {
  if (!panel || page.opening) return;
  clearTimeout(page.remembering);
  page.remembering = setTimeout(() => {
    const spec = shownVariable();
    const range = page.range.some((x, i) => x !== spec.range[i]) ? page.range : null;
    const points = panel.points.map(({ row, id }) => ({ row, id }));
    const lines = [...panel.on].sort().join() === [...SHOWN].sort().join() ? null : [...panel.on].sort();
    const state = { product: page.products.length > 1 ? page.product.name : null, variable: page.variable, range, view: page.home ? null : map.view, filters: page.filters, points, tab: panel.tab, lines };
    history.replaceState(null, "", `#${encode(state)}`);
  }, 120);
}

// --- saving -----------------------------------------------------------------------------------------------------------

const name = () => about.name.replace(/[^\w.-]+/g, "-");

// the map as it is seen, with what is needed to read it
function picture() {
  map.moving = false;
  map.draw();
  const ratio = map.ratio;
  const foot = 78;
  const canvas = h("canvas", { width: Math.round(map.width * ratio), height: Math.round((map.height + foot) * ratio) });
  const context = canvas.getContext("2d");
  context.drawImage(map.canvas, 0, 0);
  map.paint(context);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = "#fff";
  context.fillRect(0, map.height, map.width, foot);
  const spec = shownVariable();
  const y = map.height + 10;
  context.fillStyle = "#1b1e23";
  context.textAlign = "left";
  context.textBaseline = "top";
  context.font = "12px system-ui, sans-serif";
  const legend = Math.min(220, map.width * 0.36);
  if (spec.kind === "class") {
    const width = legend / spec.classes;
    for (let i = 0; i < spec.classes; i++) {
      context.fillStyle = css(classColour(i, spec.classes));
      context.fillRect(12 + i * width, y, width - 1, 12);
    }
    context.fillStyle = "#1b1e23";
    context.fillText(`${spec.label} 0 to ${spec.classes - 1}`, 12, y + 17);
  } else {
    const colours = table(spec.kind);
    for (let i = 0; i < 256; i++) {
      context.fillStyle = css(colours.slice(3 * i, 3 * i + 3));
      context.fillRect(12 + (i * legend) / 256, y, legend / 256 + 0.6, 12);
    }
    context.fillStyle = "#1b1e23";
    const places = digits(spec.step);
    const [low, high] = page.range.map((x) => String(Number(x.toFixed(places))).replace("-", "−"));
    context.fillText(low, 12, y + 15);
    context.textAlign = "right";
    context.fillText(high, 12 + legend, y + 15);
    context.textAlign = "center";
    context.fillText(`${spec.label} ${spec.units}`, 12 + legend / 2, y + 30);
  }
  const bar = scaleBar(map.view[2] / 10);
  context.textAlign = "center";
  context.fillRect(map.width - 16 - bar.pixels, y + 16, bar.pixels, 3);
  context.fillText(bar.text, map.width - 16 - bar.pixels / 2, y);
  context.textAlign = "left";
  context.font = "10.5px system-ui, sans-serif";
  context.fillStyle = "#565d68";
  context.fillText(`${about.name}. ${about.said.attribution ?? ""}`, 12, y + 49, map.width - 24);
  return canvas;
}

const savePng = guarded(async () => {
  const blob = await new Promise((resolve) => picture().toBlob(resolve, "image/png"));
  page.saved = blob;
  save(`${name()}-${page.variable}.png`, blob);
});

const saveCsv = guarded(async () => {
  const text = await panel.csv();
  page.saved = text;
  save(`${name()}-series.csv`, new Blob([text], { type: "text/csv" }));
});

// --- beginning --------------------------------------------------------------------------------------------------------

function facts() {
  const { said: words, crs } = about;
  document.title = `${about.name}: ground motion`;
  $("title").textContent = about.name;
  const component = { los: "line of sight", up: "up", east: "east" }[words.component] ?? words.component;
  const track = words.track ? [`track ${words.track}${words.pass ? ` (${words.pass})` : ""}`] : [];
  const days = about.series.displacement.days;
  const text = [component, ...track, `${days.length} dates`, `reference date ${words.reference_date}`, `release ${words.release}`, crs.epsg ? `EPSG:${crs.epsg}` : "local coordinates"];
  $("facts").replaceChildren(...text.map((one) => h("span", {}, one)));
  $("credit").textContent = words.attribution ?? "";
}

async function open(product, state) {
  page.opening = true;
  page.turns += 1;
  const mine = page.turns;
  Object.assign(page, { product, filters: {}, wanted: new Set(), shown: 0, loaded: 0, home: true });
  delete document.body.dataset.ready;
  delete document.body.dataset.first;
  map.clear();
  panel?.close();
  const found = await store.open(product);
  if (mine !== page.turns) return;
  about = found;
  facts();
  const names = Object.keys(about.variables);
  if (!names.length) throw new Fault("variables", `${about.name} has no variable to colour points by.`, "Run `insar-dask products STORE`, then `insar-dask explore STORE` again.");
  $("variable").replaceChildren(...names.map((one) => h("option", { value: one }, about.variables[one].label)));
  const wanted = decode(state, about.variables);
  page.filters = wanted.filters;
  page.variable = wanted.variable ?? names.find((one) => one === "velocity") ?? names[0];
  page.range = wanted.range ?? shownVariable().range;
  $("variable").value = page.variable;
  panel = new Panel(store, about, () => { mark(); remember(); }, (error) => fail(error, true));
  if (wanted.lines) panel.on = new Set(wanted.lines);
  panel.tab = wanted.tab ?? "series";
  panel.render();
  buildFilters();
  const [west, south, east, north] = about.extent.map((x, i) => (x - about.offset[i % 2]) * 10);
  page.box = [west, south, east, north];
  map.count = about.n_points;
  map.area = Math.max((east - west) * (north - south), 1);
  recolour();
  if (wanted.view) { map.show(wanted.view); page.home = false; } else home();
  await loadAll();
  for (const { row, id } of wanted.points) {
    if (mine !== page.turns) return;
    if (row >= about.n_points) continue;
    await panel.choose(row, true);
    if (panel.points.at(-1)?.id !== id) {
      panel.points.pop();
      panel.render();
      fail(new Fault("moved", `The link names point ${id}, which is not at its place in this store any more.`, "The store was made anew since: choose the point again."), true);
    }
  }
  if (mine !== page.turns) return;
  page.opening = false;
  mark();
  remember();
  document.body.dataset.settled = "yes";
}

// all points; they stay in view when the window changes
function home() {
  map.home(page.box);
  page.home = true;
  remember();
}

function keys(event) {
  const steps = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  if (steps[event.key]) map.pan(...steps[event.key]);
  else if (event.key === "+" || event.key === "=") map.zoom(0.7);
  else if (event.key === "-") map.zoom(1 / 0.7);
  else if (event.key === "Home") home();
  else if (event.key === "Enter" || event.key === " ") {
    const found = near([map.width / 2, map.height / 2], Math.max(map.width, map.height));
    if (found) pick(map.toPixel(found.chunk.east[found.i], found.chunk.north[found.i]), event.shiftKey);
  } else if (event.key.toLowerCase() === "l") lassoMode(!map.lassoing);
  else if (event.key === "Escape") map.lassoing ? lassoMode(false) : panel.clear();
  else return;
  event.preventDefault();
}

async function start() {
  $("fault").hidden = true;
  try {
    map = new PointMap($("map"), $("overlay"), {
      drawn,
      hover,
      lasso,
      click: pick,
      resized: () => { if (map && page.box && page.home) home(); },
      moved: (moving) => { page.home = false; $("tip").hidden = true; if (!moving && about) { loadView().catch(fail); remember(); } },
    });
  } catch (error) {
    throw new Fault("webgl", `This browser draws no WebGL2 here (${error.message}).`, "Switch hardware acceleration on, or use a recent Firefox, Chrome, Edge or Safari.");
  }
  store = new Store(new URLSearchParams(location.search).get("store") ?? document.querySelector("meta[name=store]")?.content ?? "./data.zarr");
  page.products = await store.index();
  $("variable").onchange = guarded(() => colourBy($("variable").value));
  $("low").onchange = $("high").onchange = ranged;
  $("rangeback").onclick = () => { page.range = shownVariable().range; recolour(); };
  $("overlay").addEventListener("keydown", keys);
  $("zoomin").onclick = () => map.zoom(0.6);
  $("zoomout").onclick = () => map.zoom(1 / 0.6);
  $("home").onclick = home;
  $("lasso").onclick = () => lassoMode(!map.lassoing);
  $("savepng").onclick = savePng;
  $("savecsv").onclick = saveCsv;
  $("copylink").onclick = guarded(async () => {
    await navigator.clipboard.writeText(location.href);
    $("copylink").textContent = "Copied";
    setTimeout(() => ($("copylink").textContent = "Copy link"), 1500);
  });
  const state = location.hash;
  const wanted = decode(state).product;
  const product = page.products.find((one) => one.name === wanted) ?? page.products[0];
  $("products").hidden = page.products.length < 2;
  $("title").classList.toggle("hidden", page.products.length > 1);
  $("product").replaceChildren(...page.products.map((one) => h("option", { value: one.name }, one.name)));
  $("product").value = product.name;
  $("product").onchange = () => open(page.products.find((one) => one.name === $("product").value), "").catch(fail);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => panel?.render(false));
  await open(product, state);
}

start().catch(fail);
