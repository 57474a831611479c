// The page: what the map shows, what is chosen, and the address that says both.
import { missed, remember, restore } from "./address.js";
import { buildAlarms, connectAlarms } from "./alarmlist.js";
import { areasOf, buildAreas } from "./areas.js";
import { Background, MERCATOR } from "./background.js";
import { chooseArea, degreesOf, lasso, lassoMode, mark, metres, pick, placesOf, steps, wentTo } from "./choice.js";
import { loadAll, loadView } from "./cloud.js";
import { Fault, Store } from "./data.js";
import { degreesAt } from "./degrees.js";
import { $, h } from "./dom.js";
import { buildFilters, connectLegend, recolour } from "./legend.js";
import { PointMap, scaleBar } from "./map.js";
import { fail, guarded, page, shownVariable, unsaid } from "./page.js";
import { Panel } from "./panel.js";
import { inside, nearest } from "./pick.js";
import { hover, keys } from "./pointer.js";
import { connectSaving, geojson } from "./saving.js";
import { decode } from "./state.js";

const NEIGHBOUR = 2000; // decimetres within which a point of another product stands for a chosen one

// for tests: what is shown, as numbers
globalThis.explorer = { page, inside, geojson, degreesAt, get map() { return page.map; }, get panel() { return page.panel; }, get store() { return page.store; }, get about() { return page.about; } };

function drawn() {
  const bar = scaleBar(page.map.view[2] / 10);
  $("bar").querySelector("i").style.width = `${bar.pixels}px`;
  $("bar").querySelector("b").textContent = bar.text;
}

// all points; they stay in view when the window changes
function home() {
  page.map.home(page.box);
  page.home = true;
  remember();
}

const viewed = guarded(async () => {
  remember();
  await loadView();
  page.panel?.locate();
  if (page.panel) mark();
});

function facts() {
  const { said: words, crs, name, series } = page.about;
  document.title = `${name}: ground motion`;
  $("title").textContent = name;
  const component = { los: "line of sight", up: "up", east: "east" }[words.component] ?? words.component;
  const track = words.track ? [`track ${words.track}${words.pass ? ` (${words.pass})` : ""}`] : [];
  const days = series.displacement.days;
  const text = [component, ...track, `${days.length} ${days.length === 1 ? "date" : "dates"}`, `reference date ${words.reference_date}`, `release ${words.release}`, crs.epsg ? `EPSG:${crs.epsg}` : "local coordinates"];
  $("facts").replaceChildren(...text.map((one) => h("span", {}, one)));
  $("credit").textContent = words.attribution ?? "";
  const told = Object.entries(words).map(([key, value]) => [key === "sees_future" ? "looks ahead" : key.replaceAll("_", " "), key === "sees_future" ? (value === -1 ? "over the whole series" : `${value} days`) : String(value)]);
  $("said").replaceChildren(...told.flatMap(([key, value]) => [h("dt", {}, key), h("dd", {}, value)]));
  $("gotext").placeholder = page.about.degrees ? "latitude, longitude" : "easting, northing";
}

// colours, filters and range as the address has them, or as the product begins
function dress(wanted) {
  const { about } = page;
  const names = (about.menu ?? Object.keys(about.variables)).filter((one) => one in about.variables).filter((one) => about.variables[one].kind !== "flag");
  $("variable").replaceChildren(...names.map((one) => h("option", { value: one }, about.variables[one].label)));
  page.filters = wanted.filters;
  page.variable = wanted.variable ?? names.find((one) => one === "velocity") ?? names[0];
  page.range = wanted.range ?? shownVariable().range;
  $("variable").value = page.variable;
  page.map.background = page.tiles && about.crs.epsg === MERCATOR ? page.tiles : null;
  if (page.tiles && !page.map.background) missed(`The background is in EPSG:${MERCATOR}, and ${about.name} is not.`, "It is left out: images are not bent here.");
}

const NOTHING = { kind: "positive", label: "No value is stored", units: "", step: 1, range: [0, 1], limits: [0, 1], absent: true };

// of a product that cannot be read nothing is shown, and the one before stays
async function open(product, state, carried = null) {
  const asked = (page.asked = (page.asked ?? 0) + 1);
  delete document.body.dataset.settled;
  const store = storeOf(product);
  const found = await store.open(product);
  if (asked !== page.asked) return;
  page.opening = true;
  page.turns += 1;
  const mine = page.turns;
  const { map } = page;
  Object.assign(page, { product, store, about: found, filters: {}, wanted: new Set(), shown: 0, loaded: 0, home: true });
  for (const name of ["ready", "first"]) delete document.body.dataset[name];
  map.clear();
  page.panel?.close();
  for (const other of page.stores.values()) if (other !== store) other.chunks.clear();
  if (!Object.values(found.variables).some(({ kind }) => kind !== "flag")) {
    found.variables.nothing = { ...NOTHING };
    found.menu = ["nothing"];
  }
  facts();
  const wanted = decode(state, found.variables);
  dress(wanted);
  page.areas = areasOf(found);
  buildAreas(page, (area) => chooseArea(area, true));
  buildAlarms();
  page.panel = new Panel(store, found, { changed: () => { mark(); remember(); }, failed: (error) => fail(error, true), degreesOf });
  if (wanted.lines) page.panel.on = new Set(wanted.lines);
  page.panel.tab = wanted.tab === "components" && $("tab-components").hidden ? "series" : (wanted.tab ?? "series");
  page.panel.render();
  buildFilters();
  page.box = [...steps(found.extent.slice(0, 2)), ...steps(found.extent.slice(2))];
  map.count = found.n_points;
  map.offset = found.offset;
  map.area = Math.max((page.box[2] - page.box[0]) * (page.box[3] - page.box[1]), 1);
  recolour();
  const view = wanted.view ?? (carried?.epsg === found.crs.epsg ? carried?.view : null);
  if (view) map.show([...steps(view), view[2] * 10]);
  if (view) page.home = false;
  else home();
  await loadAll();
  if (mine !== page.turns) return;
  await restore(wanted, mine);
  if (mine !== page.turns) return;
  await follow(carried, mine);
  if (mine !== page.turns) return;
  page.opening = false;
  mark();
  remember();
  document.body.dataset.settled = "yes";
}

// of another product of the same ground: the view, and points where others were chosen
async function follow(carried, mine) {
  if (!carried || carried.epsg !== page.about.crs.epsg) return;
  for (const place of carried.places) {
    const found = nearest(page.map.chunks, ...steps(place), NEIGHBOUR);
    if (found) await page.panel.choose(found.chunk.row[found.i], true);
    if (mine !== page.turns) return;
  }
}

function carry() {
  const { about, map, panel } = page;
  if (!about || !panel) return null;
  const places = placesOf(panel.points.map((point) => point.row)).filter(Boolean).map(metres);
  return { epsg: about.crs.epsg, view: page.home ? null : [...metres(map.view), map.view[2] / 10], places };
}

// products of a campaign lie in stores of their own below the first
function storeOf(product) {
  const address = new URL(product.store ?? "", page.root).href;
  if (!page.stores.has(address)) page.stores.set(address, new Store(address));
  return page.stores.get(address);
}

function connect() {
  connectLegend();
  connectAlarms();
  connectSaving();
  $("overlay").addEventListener("keydown", (event) => keys(event, home));
  $("zoomin").onclick = () => page.map.zoom(0.6);
  $("zoomout").onclick = () => page.map.zoom(1 / 0.6);
  $("home").onclick = home;
  $("lasso").onclick = () => lassoMode(!page.map.lassoing);
  $("goto").onsubmit = (event) => {
    event.preventDefault();
    wentTo();
  };
  $("products").hidden = page.products.length < 2;
  $("title").classList.toggle("hidden", page.products.length > 1);
  $("product").replaceChildren(...page.products.map((one) => h("option", { value: one.name }, one.name)));
  $("product").onchange = () => {
    page.missing = [];
    unsaid();
    return open(page.products.find((one) => one.name === $("product").value), "", carry()).catch((error) => {
      $("product").value = page.product.name;
      document.body.dataset.settled = "yes";
      page.opening = false;
      fail(error, true);
    });
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => page.panel?.render(false));
}

const told = (name) => document.querySelector(`meta[name=${name}]`)?.content ?? null;

async function start() {
  $("fault").hidden = true;
  try {
    page.map = new PointMap($("ground"), $("map"), $("overlay"), {
      drawn,
      hover,
      lasso,
      click: pick,
      resized: () => { if (page.map && page.box && page.home) home(); },
      moved: (moving) => { page.home = false; $("tip").hidden = true; if (!moving && page.about) viewed(); },
    }, Boolean(told("tiles")));
  } catch (error) {
    throw new Fault("webgl", `This browser draws no WebGL2 here (${error.message}).`, "Switch hardware acceleration on, or use a recent Firefox, Chrome, Edge or Safari.");
  }
  if (told("tiles")) {
    page.tiles = new Background(told("tiles"), () => page.map.soon(), (address) => {
      if (page.untiled) return;
      page.untiled = true;
      fail(new Fault("tiles", `The background could not be read: ${address}.`, "The map is whole without it. The server of the images must allow this page by CORS."), true);
    });
  }
  const address = new URL(new URLSearchParams(location.search).get("store") ?? told("store") ?? "./data.zarr", location.href).href;
  page.root = address.endsWith("/") ? address : `${address}/`;
  page.stores = new Map();
  page.products = await storeOf({}).index();
  connect();
  const wanted = decode(location.hash).product;
  const product = page.products.find((one) => one.name === wanted) ?? page.products[0];
  const gone = wanted && product.name !== wanted;
  if (gone) missed(`The link names product ${wanted}, which this store has not.`, `${product.name} is shown; choose another above the map.`);
  $("product").value = product.name;
  await open(product, gone ? "" : location.hash);
}

start().catch(fail);
