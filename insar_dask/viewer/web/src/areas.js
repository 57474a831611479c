// Moving areas that the store keeps: a list, outlines on the map, and the card of the chosen one.
import { $, counted, h, said } from "./dom.js";
import { encloses } from "./pick.js";

// column -> label, unit, digits, and the columns of its standard error, or of the range that it lies in
const CARD = {
  area_m2: ["Area", "m²", 0],
  velocity_mean: ["Mean velocity", "mm/yr", 1, "velocity_std"],
  velocity_extreme: ["Fastest", "mm/yr", 1],
  seasonality_mm: ["Annual amplitude", "mm", 1],
  acceleration_mm_per_yr2: ["Acceleration", "mm/yr²", 2],
  n_points: ["Points", "", 0],
  coherence: ["Coherence", "", 2],
  height_m: ["Height", "m", 0],
  slope_deg: ["Slope", "°", 0],
  rate: ["Rate of the last years", "mm/yr", 1, "rate_std"],
  cumulative_mm: ["Moved over the record", "mm", 1],
  onset: ["Began", "", 0, "onset_first", "onset_last"],
  forecast_mm: ["Forecast", "mm", 1, "forecast_lower_mm", "forecast_upper_mm"],
  exceedance: ["Chance to pass the limit", "", 2],
  quality: ["Class of quality, 1 the best", "", 0],
  nearest_m: ["Nearest other area", "m", 0],
  first_seen: ["First seen", "", 0],
  event: ["Since the vintage before", "", 0],
  parents: ["Came of", "", 0],
  votes: ["Share of cells by rule", "", 0],
};

export const nameOf = (area) => String(area.card.area_id ?? "");

// all areas of the product, the largest first
export function areasOf(about) {
  return (about.areas ?? [])
    .flatMap(({ scene, vintage, areas }) => areas.map((area) => ({ ...area, scene, vintage })))
    .sort((a, b) => (b.card.area_m2 ?? 0) - (a.card.area_m2 ?? 0));
}

// [west, south, east, north] of an area, in steps of the map
export function boxOf({ rings }) {
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const ring of rings) {
    for (let i = 0; i < ring.length; i += 2) {
      box[0] = Math.min(box[0], ring[i]);
      box[1] = Math.min(box[1], ring[i + 1]);
      box[2] = Math.max(box[2], ring[i]);
      box[3] = Math.max(box[3], ring[i + 1]);
    }
  }
  return box;
}

export const corners = ({ rings }) => rings.map((ring) => Array.from({ length: ring.length / 2 }, (_, i) => [ring[2 * i], ring[2 * i + 1]]));

export const areaAt = (areas, east, north) => areas.find((area) => encloses(corners(area), east, north)) ?? null;

// rows of the card that say something
export function cardRows(card) {
  const known = (name) => name && ![null, undefined, ""].includes(card[name]);
  return Object.entries(CARD).flatMap(([name, [label, unit, places, low, high]]) => {
    if (!known(name)) return [];
    const text = (one) => (typeof card[one] !== "number" ? String(card[one]) : places ? said(card[one], places) : counted(Math.round(card[one])).replace("-", "−"));
    const more = known(low) && known(high) ? ` (${text(low)} to ${text(high)})` : known(low) && !high ? ` ± ${text(low)}` : "";
    return [[label, unit, text(name), more]];
  });
}

export function cardTable(area) {
  const rows = cardRows(area.card).map(([label, unit, value, more]) => h("tr", {}, h("th", { scope: "row" }, label, unit ? h("small", {}, ` ${unit}`) : ""), h("td", {}, value, h("small", {}, more))));
  return h("table", { "aria-label": `Evidence of ${nameOf(area)}` }, h("tbody", {}, ...rows));
}

const line = (area) => `${nameOf(area)}  ${said((area.card.area_m2 ?? NaN) / 1e4, 1)} ha  ${said(area.card.velocity_mean ?? NaN, 1)} mm/yr`;

// the list beside the map; choose(area) is called with the chosen one
export function buildAreas({ areas, map }, choose) {
  $("areablock").hidden = !areas.length;
  $("showareas").checked = map.areasShown = areas.length > 0;
  $("showareas").onchange = () => {
    map.areasShown = $("showareas").checked;
    map.soon();
  };
  map.areas = areas.map((area) => ({ rings: corners(area), box: boxOf(area) }));
  const scenes = new Set(areas.map((area) => `${area.scene}, vintage ${area.vintage}`));
  $("areascene").textContent = areas.length ? `${counted(areas.length)} of ${[...scenes].join("; ")}` : "";
  $("arealist").replaceChildren(h("option", { value: "" }, "choose one"), ...areas.map((area, i) => h("option", { value: String(i) }, line(area))));
  $("arealist").onchange = () => $("arealist").value !== "" && choose(areas[Number($("arealist").value)]);
}
