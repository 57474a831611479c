// What is chosen on the map: points, an area, what lies inside an outline, a place to go to.
import { areaAt, boxOf, corners } from "./areas.js";
import { loadView } from "./cloud.js";
import { CHOSEN } from "./colour.js";
import { Fault } from "./data.js";
import { degreesAt, readPlace } from "./degrees.js";
import { $ } from "./dom.js";
import { guarded, page, unsaid } from "./page.js";
import { inside, nearest } from "./pick.js";

const REACH = 12;
const CLOSE = 30; // decimetres a pixel where one place is looked at

export const metres = ([east, north]) => [page.about.offset[0] + east / 10, page.about.offset[1] + north / 10];
export const steps = ([east, north]) => [(east - page.about.offset[0]) * 10, (north - page.about.offset[1]) * 10];

// places of rows that are on the map, in its steps
export function placesOf(rows) {
  const wanted = new Map(rows.map((row, i) => [row, i]));
  const found = new Array(rows.length).fill(null);
  for (const chunk of page.map.chunks) {
    for (let i = 0; i < chunk.row.length; i++) {
      const at = wanted.get(chunk.row[i]);
      if (at !== undefined) found[at] = [chunk.east[i], chunk.north[i]];
    }
  }
  return found;
}

export const placeOf = (row) => placesOf([row])[0];

export function degreesOf(point) {
  const place = placeOf(point.row);
  return place && degreesAt(page.about.degrees, ...metres(place));
}

export const near = ([x, y], reach = REACH) => nearest(page.map.chunks, ...page.map.toPlace(x, y), reach * page.map.view[2]);

// whether points of a large cube are not on the map, so that an outline may hold more of them
const partly = () => page.loaded < page.about.n_points;

async function picking(work) {
  $("tip").hidden = $("hint").hidden = true;
  clearTimeout(page.hovering);
  document.body.dataset.picking = "yes";
  try {
    $("live").textContent = await work();
    unsaid();
  } finally {
    delete document.body.dataset.picking;
  }
}

export const pick = guarded(async (at, add) => {
  const found = near(at);
  const area = !found && page.map.areasShown ? areaAt(page.areas, ...page.map.toPlace(...at)) : null;
  if (area) await chooseArea(area);
  if (!found) return;
  const began = performance.now();
  await picking(() => page.panel.choose(found.chunk.row[found.i], add));
  page.clickMs = performance.now() - began;
});

export const chooseArea = guarded(async (area, go = false) => {
  const rings = corners(area);
  if (go) {
    page.map.home(boxOf(area), 2.4);
    page.home = false;
    await loadView();
  }
  await picking(() => page.panel.enclose(inside(page.map.chunks, rings), rings, area, partly()));
});

const AROUND = 2500; // decimetres about an alarm that are shown with it

export const chooseAlarm = guarded(async ({ row, box: [west, south, east, north] }) => {
  page.map.home([west - AROUND, south - AROUND, east + AROUND, north + AROUND]);
  page.home = false;
  await loadView();
  await picking(() => page.panel.choose(row, false));
});

export const lasso = guarded(async (polygon) => {
  lassoMode(false);
  const began = performance.now();
  const rows = inside(page.map.chunks, polygon);
  page.lassoMs = performance.now() - began;
  page.enclosed = rows.length;
  if (rows.length) return picking(() => page.panel.enclose(rows, [polygon], null, partly()));
  $("hint").hidden = false;
  $("hint").textContent = $("live").textContent = "No point lies inside the outline.";
});

export function lassoMode(on) {
  page.map.lassoing = on;
  $("lasso").setAttribute("aria-pressed", String(on));
}

export function mark() {
  const { map, panel } = page;
  const places = panel.points.length ? placesOf(panel.points.map((point) => point.row)) : [];
  map.marks = places.flatMap((place, i) => (place ? [{ east: place[0], north: place[1], colour: CHOSEN[i], label: String(i + 1) }] : []));
  map.outline = panel.area?.rings ?? null;
  map.drawOverlay();
  $("savecsv").disabled = $("savejson").disabled = !panel.points.length && !panel.area;
  const at = panel.area?.found ? page.areas.indexOf(panel.area.found) : -1;
  $("arealist").value = at < 0 ? "" : String(at);
  const rows = panel.points.map((point) => point.row);
  const alarm = page.about.alarms?.listed?.findIndex((one) => rows.length === 1 && one.row === rows[0]) ?? -1;
  $("alarmlist").value = alarm < 0 ? "" : String(alarm);
}

// the point nearest to a place [m], in the middle of the map
export async function goTo(place) {
  page.map.show([...steps(place), CLOSE]);
  await loadView();
  const found = nearest(page.map.chunks, ...steps(place), Math.max(page.map.width, page.map.height) * CLOSE);
  if (!found) throw new Fault("place", "No point is shown near that place.", "Take the filters off, or go somewhere else.");
  await picking(() => page.panel.choose(found.chunk.row[found.i], false));
}

export const wentTo = guarded(async () => {
  const place = readPlace(page.about.degrees, $("gotext").value);
  if (!place) {
    const words = page.about.degrees ? "Write latitude and longitude in degrees, such as 38.70, 13.17, or easting and northing in metres." : "Write easting and northing in metres.";
    throw new Fault("place", `${$("gotext").value || "Nothing"} is no place of this map.`, words);
  }
  await goTo(place);
});
