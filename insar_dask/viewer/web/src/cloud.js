// The points of a product: chunks of its overview as they come, filtered, counted.
import { $, counted } from "./dom.js";
import { page } from "./page.js";
import { sift } from "./pick.js";

const size = (level) => Math.min(page.about.chunk, page.about.levels[level]);
const numbers = (level) => Array.from({ length: Math.ceil(page.about.levels[level] / size(level)) }, (_, i) => i);
const flags = () => (page.map.alarmsShown ? ["alarm"] : []);
const names = () => [...new Set([page.variable, ...Object.keys(page.filters), ...flags()])];
const total = (shown) => shown.reduce((sum, x) => sum + x, 0);

// of a product that was left meanwhile nothing is drawn
async function load(level, number) {
  const { about, map } = page;
  const key = `${level}/${number}`;
  const mine = page.turns;
  if (page.wanted.has(key)) return;
  page.wanted.add(key);
  try {
    const found = await read(level, number, ["easting", "northing", "row", ...names()]);
    if (mine !== page.turns) return;
    const n = Math.min(size(level), about.levels[level] - number * size(level));
    const cut = (name) => found[name].subarray(0, n);
    const chunk = { east: cut("easting"), north: cut("northing"), row: cut("row"), values: {}, level, number, box: about.chunk_boxes[level][number] };
    for (const name of Object.keys(found)) if (name in about.variables) chunk.values[name] = cut(name);
    await complete(chunk);
    if (mine !== page.turns) return;
    chunk.shown = sift(chunk, page.filters, about.variables, about.missing);
    map.add(chunk);
    map.chunks.sort((a, b) => a.level - b.level || a.number - b.number);
    page.shown += total(chunk.shown);
    page.loaded += n;
    if (!document.body.dataset.first) document.body.dataset.first = String(Math.round(performance.now()));
    count();
  } catch (error) {
    if (mine !== page.turns) return;
    page.wanted.delete(key);
    throw error;
  }
}

// a variable that no product stores stands where there is none to colour by: it has no value anywhere
async function read(level, number, wanted) {
  const found = await page.store.part(page.product.group, level, number, wanted.filter((name) => !page.about.variables[name]?.absent));
  const none = wanted.find((name) => page.about.variables[name]?.absent);
  if (none) found[none] = new Int16Array(size(level)).fill(page.about.missing);
  return found;
}

// arrays that became wanted since the chunk was asked for
export async function complete(chunk, wanted = names) {
  for (;;) {
    const more = wanted().filter((name) => !chunk.values[name]);
    if (!more.length) return;
    const found = await read(chunk.level, chunk.number, more);
    for (const name of more) chunk.values[name] = found[name].subarray(0, chunk.east.length);
  }
}

export async function loadAll() {
  const { about } = page;
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
export async function loadView() {
  const { about, map } = page;
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
  const { about, loaded: all } = page;
  const rest = about.n_points - all;
  const whole = about.n_points <= about.at_once;
  const of = rest > 0 && whole ? ` (${counted(rest)} still coming)` : rest > 0 ? `, ${counted(all)} of them on the map` : "";
  $("count").textContent = `${counted(page.shown)} of ${counted(about.n_points)} points shown${of}`;
  $("loading").hidden = rest <= 0 || !whole;
  $("loading").firstElementChild.style.width = `${(100 * all) / about.n_points}%`;
}

export async function refilter() {
  const { about, map } = page;
  await Promise.all(map.chunks.map((chunk) => complete(chunk)));
  page.shown = 0;
  for (const chunk of map.chunks) {
    chunk.shown = sift(chunk, page.filters, about.variables, about.missing);
    page.shown += total(chunk.shown);
  }
  map.filtered();
  count();
}
