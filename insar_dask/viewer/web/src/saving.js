// What can be taken along: the map as a picture, the chosen series as a table, the chosen points as GeoJSON.
import { alarmWords } from "./alarms.js";
import { placeOf } from "./choice.js";
import { complete } from "./cloud.js";
import { classColour, css, isSmall, table } from "./colour.js";
import { Fault } from "./data.js";
import { degreesAt } from "./degrees.js";
import { $, digits, h, save } from "./dom.js";
import { scaleBar } from "./map.js";
import { paint } from "./overlay.js";
import { guarded, page, shownVariable } from "./page.js";
import { within } from "./pick.js";

const FOOT = 78;
const MOST_POINTS = 100000;

const plainName = () => page.about.name.replace(/[^\w.-]+/g, "-");

// the map as it is seen, with what is needed to read it
function picture() {
  const { map, about } = page;
  map.moving = false;
  map.draw();
  const ratio = map.ratio;
  const canvas = h("canvas", { width: Math.round(map.width * ratio), height: Math.round((map.height + FOOT) * ratio) });
  const context = canvas.getContext("2d");
  if (map.background) context.drawImage(map.ground, 0, 0);
  context.drawImage(map.canvas, 0, 0);
  paint(context, map);
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = "#fff";
  context.fillRect(0, map.height, map.width, FOOT);
  const y = map.height + 10;
  context.fillStyle = "#1b1e23";
  context.textAlign = "left";
  context.textBaseline = "top";
  context.font = "12px system-ui, sans-serif";
  legend(context, y, Math.min(220, map.width * 0.36));
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

function legend(context, y, across) {
  const spec = shownVariable();
  if (spec.kind === "class") {
    const width = across / spec.classes;
    for (let i = 0; i < spec.classes; i++) {
      context.fillStyle = css(classColour(i, spec.classes));
      context.fillRect(12 + i * width, y, width - 1, 12);
    }
    context.fillStyle = "#1b1e23";
    context.fillText(`${spec.label} 0 to ${spec.classes - 1}`, 12, y + 17);
    return;
  }
  const colours = table(spec.kind);
  for (let i = 0; i < 256; i++) {
    context.fillStyle = css(colours.slice(3 * i, 3 * i + 3));
    context.fillRect(12 + (i * across) / 256, y, across / 256 + 0.6, 12);
  }
  context.fillStyle = "#1b1e23";
  const places = digits(spec.step);
  const [low, high] = page.range.map((x) => String(Number(x.toFixed(places))).replace("-", "−"));
  context.fillText(low, 12, y + 15);
  context.textAlign = "right";
  context.fillText(high, 12 + across, y + 15);
  context.textAlign = "center";
  context.fillText(`${spec.label} ${spec.units}`, 12 + across / 2, y + 30);
}

const feature = (place, properties) => ({ type: "Feature", geometry: { type: "Point", coordinates: place.map((x) => Number(x.toFixed(7))) }, properties });
const said = (value) => (typeof value === "number" && !Number.isFinite(value) ? null : value);

// GeoJSON is in degrees, by its definition
function degreesOf(east, north) {
  const { about } = page;
  const found = degreesAt(about.degrees, about.offset[0] + east / 10, about.offset[1] + north / 10);
  if (!found) throw new Fault("degrees", "The CRS of this product gives no longitude and latitude, in which GeoJSON is.", "Save the series as CSV, or give the source its CRS and read it again.");
  return found;
}

function chosenFeatures() {
  return page.panel.points.map((point) => {
    const place = placeOf(point.row);
    if (!place) throw new Fault("place", `Point ${point.id} is not on the map at this scale.`, "Zoom in to where it lies and save again.");
    const words = { point_id: point.id, ...point.place, ...point.motion, ...alarmWords(page.about.alarms, point.alarm) };
    return feature(degreesOf(...place), Object.fromEntries(Object.entries(words).map(([name, value]) => [name, said(value)])));
  });
}

// of the points inside an outline what the map can show, in the steps of the map
async function enclosedFeatures({ rings }) {
  const { about, map } = page;
  const names = Object.keys(about.variables).filter((name) => !about.variables[name].absent);
  const found = within(map.chunks, rings);
  if (found.length > MOST_POINTS) {
    throw new Fault("many", `${found.length} points lie inside, and at most ${MOST_POINTS} are saved here.`, "Draw a smaller outline, or write all points: `insar_dask.write_csv`.");
  }
  await Promise.all([...new Set(found.map(([chunk]) => chunk))].map((chunk) => complete(chunk, () => names)));
  return found.map(([chunk, i]) => {
    const value = (name) => {
      const stored = chunk.values[name][i];
      const { step } = about.variables[name];
      return isSmall(about.variables[name]) ? stored : stored === about.missing ? null : Number((stored * step).toFixed(digits(step)));
    };
    return feature(degreesOf(chunk.east[i], chunk.north[i]), { row: chunk.row[i], ...Object.fromEntries(names.map((name) => [name, value(name)])) });
  });
}

export async function geojson() {
  const { about, panel } = page;
  const features = panel.area ? await enclosedFeatures(panel.area) : chosenFeatures();
  const units = Object.fromEntries(Object.entries(about.variables).map(([name, spec]) => [name, spec.units]));
  return JSON.stringify({ type: "FeatureCollection", name: about.name, provenance: about.said, units, features });
}

export function connectSaving() {
  $("savepng").onclick = guarded(async () => {
    const blob = await new Promise((resolve) => picture().toBlob(resolve, "image/png"));
    if (!blob) throw new Fault("picture", "The browser made no picture of the map: it is too large.", "Make the window smaller and save again.");
    save(`${plainName()}-${page.variable}.png`, blob);
  });
  $("savecsv").onclick = guarded(async () => save(`${plainName()}-series.csv`, new Blob([await page.panel.csv()], { type: "text/csv" })));
  $("savejson").onclick = guarded(async () => save(`${plainName()}-points.geojson`, new Blob([await geojson()], { type: "application/geo+json" })));
  $("copylink").onclick = guarded(async () => {
    await navigator.clipboard.writeText(location.href);
    $("copylink").textContent = "Copied";
    setTimeout(() => ($("copylink").textContent = "Copy link"), 1500);
  });
}
