// The address of the page says what is shown and chosen; what it names and the store has not is told.
import { nameOf } from "./areas.js";
import { chooseArea, goTo, metres } from "./choice.js";
import { Fault } from "./data.js";
import { placeAt } from "./degrees.js";
import { fail, page, shownVariable } from "./page.js";
import { SHOWN } from "./panel.js";
import { encode } from "./state.js";

export function remember() {
  if (!page.panel || page.opening) return;
  clearTimeout(page.remembering);
  page.remembering = setTimeout(() => {
    const { panel, map } = page;
    const spec = shownVariable();
    const state = {
      product: page.products.length > 1 ? page.product.name : null,
      variable: spec.absent ? null : page.variable,
      range: page.range.some((x, i) => x !== spec.range[i]) ? page.range : null,
      view: page.home ? null : [...metres(map.view), map.view[2] / 10],
      filters: page.filters,
      points: panel.points.filter((point) => point.ready).map(({ row, id }) => ({ row, id })),
      area: panel.area?.found ? nameOf(panel.area.found) : null,
      tab: panel.tab,
      lines: [...panel.on].sort().join() === [...SHOWN].sort().join() ? null : [...panel.on].sort(),
    };
    history.replaceState(null, "", `#${encode(state)}`);
  }, 120);
}

// what an address names and this store has not is said, and the rest is shown
export const missed = (words, cure) => page.missing.push([words, cure]);

function sayMissing() {
  if (!page.missing.length) return;
  const [words, cures] = [0, 1].map((k) => [...new Set(page.missing.map((one) => one[k]))].join(" "));
  fail(Object.assign(new Fault("gone", words, cures), { title: "Not all that was asked for is here" }), true);
}

export async function restore(wanted, mine) {
  if (wanted.gone) missed(`The link colours or filters by ${wanted.gone.join(", ")}, which ${page.about.name} has not.`, "The rest is shown; choose another variable.");
  for (const { row, id } of wanted.points) {
    if (mine !== page.turns) return;
    if (row < page.about.n_points) await page.panel.choose(row, true);
    if (mine !== page.turns) return;
    if (row < page.about.n_points && page.panel.points.at(-1)?.id === id) continue;
    if (row < page.about.n_points) page.panel.drop(page.panel.points.length - 1);
    missed(`The link names point ${id}, which is not at its place in this store any more.`, "The store was made anew since: choose the point again.");
  }
  if (wanted.area) {
    const area = page.areas.find((one) => nameOf(one) === wanted.area);
    if (area) await chooseArea(area);
    else missed(`The link names area ${wanted.area}, which this store does not keep.`, "Choose one of the list; `insar-dask areas STORE` finds them anew.");
  }
  if (wanted.near) {
    const place = placeAt(page.about.degrees, ...wanted.near);
    if (place) await goTo(place);
    else missed(`The link names a place at ${wanted.near.join(", ")}, which lies outside of ${page.about.name}.`, "Longitude comes first, then latitude, in degrees.");
  }
  if (mine === page.turns) sayMissing();
}
