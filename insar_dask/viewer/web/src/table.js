// The series as numbers: a table beside the chart, and a file of them.
import { h, said } from "./dom.js";
import { iso } from "./fit.js";
import { fitOfPoint, foretoldOf } from "./lines.js";

const FORETOLD = [["middle", "Foretold"], ["lower", "Foretold at least"], ["upper", "Foretold at most"]];
const FORECAST = [["displacement", "Forecast"], ["lower", "Lower"], ["upper", "Upper"]];

// {label, at: day -> value} of all that is stored of some points
export function columnsOf(about, points) {
  const { series, forecast } = about;
  return points.flatMap((point, i) => {
    const mark = points.length > 1 ? ` ${i + 1}` : "";
    const found = Object.keys(series).filter((name) => point.series[name]).map((name) => [series[name].label + mark, series[name].days, point.series[name]]);
    const fit = fitOfPoint(about, point);
    if (fit) found.splice(1, 0, [`Fit${mark}`, series.displacement.days, fit]);
    const told = foretoldOf(about, point);
    for (const [name, label] of told ? FORETOLD : []) found.push([label + mark, told.days, told[name]]);
    for (const [name, label] of FORECAST) if (point.forecast?.[name]) found.push([label + mark, forecast.days, point.forecast[name]]);
    return found.map(([label, days, values]) => ({ label, at: new Map(days.map((day, k) => [day, values[k]])) }));
  });
}

export function areaColumns(about, area) {
  const { days } = about.series.displacement;
  return [["Mean", area.mean], ["Percentile 10", area.low], ["Percentile 90", area.high]].map(([label, values]) => ({ label, at: new Map(days.map((day, i) => [day, values[i]])) }));
}

const daysOf = (columns) => [...new Set(columns.flatMap((column) => [...column.at.keys()]))].sort((a, b) => a - b);

export function table(columns) {
  const head = h("thead", {}, h("tr", {}, h("th", {}, "Date"), ...columns.map(({ label }) => h("th", {}, label))));
  const rows = daysOf(columns).map((day) => h("tr", {}, h("th", { scope: "row" }, iso(day)), ...columns.map(({ at }) => h("td", {}, at.has(day) ? said(at.get(day), 1) : ""))));
  return h("table", {}, head, h("tbody", {}, ...rows));
}

// at most as exact as float32
const number = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(7))) : "");

// no line of a comment can end early and begin a row
const plain = (text) => String(text).replace(/[\r\n]+/g, " ");

// everything of the chosen points as text: values as stored, empty where missing
export function csv(about, points, area) {
  const lines = [`# ${plain(about.name)}`, ...Object.entries(about.said).map(([name, value]) => `# ${name}: ${plain(value)}`), `# crs: EPSG:${about.crs.epsg ?? "unknown"}`, "# units: mm"];
  if (area) lines.push(`# ${area.count} ${area.partly ? "of the points that were on the map" : "points"} inside an outline, ${area.read} of them read`);
  points.forEach((point, i) => {
    const words = [...Object.entries(point.place), ...Object.entries(point.motion), ...Object.entries(point.alarm ?? {})].map(([name, value]) => `${name}=${number(value)}`);
    lines.push(`# point ${i + 1}: ${plain(point.id)} ${words.join(" ")}`);
  });
  if (about.forecast && points.length) lines.push(`# forecast: ${plain(about.forecast.method)}, interval ${about.forecast.level ?? "none"}`);
  const columns = area ? areaColumns(about, area) : columnsOf(about, points);
  lines.push(["date", ...columns.map(({ label }) => label.toLowerCase().replaceAll(" ", "_"))].join(","));
  for (const day of daysOf(columns)) lines.push([iso(day), ...columns.map(({ at }) => (at.has(day) ? number(at.get(day)) : ""))].join(","));
  return `${lines.join("\n")}\n`;
}
