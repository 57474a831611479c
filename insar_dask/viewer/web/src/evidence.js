// What is known of the chosen points beside their series: numbers with errors, and where they come from.
import { alarmRows, judged } from "./alarms.js";
import { CHOSEN } from "./colour.js";
import { asGiven, h, said } from "./dom.js";
import { iso } from "./fit.js";

// days between neighbouring valid dates, the most
export function longestGap(days, values) {
  const valid = days.filter((_, i) => !Number.isNaN(values[i]));
  return valid.length < 2 ? NaN : Math.max(...valid.slice(1).map((day, i) => day - valid[i]));
}

const count = (point) => point.series.displacement.filter((x) => !Number.isNaN(x)).length;

// label, unit, of(point) -> [value, error, digits]
const ROWS = [
  ["Velocity", "mm/yr", (p) => [p.motion.velocity, p.motion.velocity_std, 2]],
  ["Acceleration", "mm/yr²", (p) => [p.motion.acceleration, p.motion.acceleration_std, 2]],
  ["Annual amplitude", "mm", (p) => [p.motion.seasonality, p.motion.seasonality_std, 2]],
  ["RMSE of the model", "mm", (p) => [p.motion.rmse, NaN, 2]],
  ["Coherence", "", (p) => [p.place.coherence, NaN, 2]],
  ["Height", "m", (p) => [p.place.height, NaN, 1]],
  ["Condition of east and up", "", (p) => [p.place.condition, NaN, 2]],
  ["Points of ascending tracks", "", (p) => [p.place.n_ascending, NaN, 0]],
  ["Points of descending tracks", "", (p) => [p.place.n_descending, NaN, 0]],
];

function cell([value, error, places]) {
  return h("td", {}, said(value, places), Number.isFinite(error) ? h("small", {}, ` ± ${said(error, places)}`) : "");
}

function row(label, unit, cells) {
  return h("tr", {}, h("th", { scope: "row" }, label, unit ? h("small", {}, ` ${unit}`) : ""), ...cells);
}

export function evidence(about, points) {
  const { days } = about.series.displacement;
  const head = points.length > 1 ? [h("thead", {}, h("tr", {}, h("th", {}), ...points.map((p, i) => h("th", {}, h("i", { colour: CHOSEN[i] }), String(i + 1)))))] : [];
  const rows = ROWS.filter(([, , of]) => points.some((p) => Number.isFinite(of(p)[0]))).map(([label, unit, of]) => row(label, unit, points.map((p) => cell(of(p)))));
  rows.push(row("Valid dates", "", points.map((p) => h("td", {}, String(count(p)), h("small", {}, ` of ${days.length}`)))));
  if (points.some((p) => count(p) > 1)) rows.push(row("Longest gap", "days", points.map((p) => cell([longestGap(days, p.series.displacement), NaN, 0]))));
  for (const [name, label] of [["latitude", "Latitude"], ["longitude", "Longitude"]]) {
    if (points.some(({ place }) => Number.isFinite(place[name]))) rows.push(row(label, "°", points.map(({ place }) => cell([place[name], NaN, 5]))));
  }
  if (about.limit && points.some(({ place }) => Number.isFinite(place.exceedance))) {
    const { threshold, day } = about.limit;
    rows.push(row(`Chance to lie ${threshold < 0 ? "below" : "above"} ${asGiven(threshold)} mm on ${iso(day)}`, "", points.map(({ place }) => cell([place.exceedance, NaN, 2]))));
  }
  if (judged(about)) rows[points.some(({ alarm }) => alarm.alarm === 1) ? "unshift" : "push"](...alarmLines(about.alarms, points));
  if (about.forecast) rows.push(row(`Forecast for ${iso(about.forecast.days.at(-1))}`, "mm", points.map(lastForecast)));
  const none = !about.motion ? "not stored" : points.every(({ ready, motion }) => ready && !Number.isFinite(motion.velocity)) ? "none: too few dates have a value" : "";
  if (none) rows.push(row("Motion parameters", "", [h("td", { colspan: String(points.length) }, none)]));
  return h("table", { "aria-label": "Evidence of the chosen points" }, ...head, h("tbody", {}, ...rows));
}

// of several points each has its own rows; a row stands where any of them has it
function alarmLines(alarms, points) {
  const told = points.map(({ alarm, ready }) => (ready ? alarmRows(alarms, alarm) : []));
  const labels = new Map(told.flat().map(([label, unit]) => [label, unit]));
  return [...labels].map(([label, unit]) => row(label, unit, told.map((rows) => {
    const found = rows.find((one) => one[0] === label);
    return h("td", {}, found ? found[2] : "", h("small", {}, found ? found[3] : ""));
  })));
}

function lastForecast({ forecast, ready }) {
  const value = forecast?.displacement.at(-1);
  if (!Number.isFinite(value)) return h("td", {}, ready ? "none" : "…");
  const { lower, upper } = forecast;
  return h("td", {}, said(value, 1), lower && upper ? h("small", {}, ` (${said(lower.at(-1), 1)} to ${said(upper.at(-1), 1)})`) : "");
}

// what has to be known to read the chart, on which some lines are switched on
export function notes(about, on, points) {
  const { scores, forecast, alarms } = about;
  const words = [];
  if (about.motion?.phase && on.has("fit") && points.some(({ motion }) => Number.isFinite(motion.velocity))) words.push("Fit: stored velocity and annual signal, with the level at which residuals average zero. Errors are those of white noise.");
  if (judged(about) && on.has("foretold")) {
    const { level } = alarms.foretold;
    words.push(`Foretold: the forecast stored before the new dates came, with ${level ? `its ${Math.round(level * 100)} % interval` : "its interval"} and what all points share on a date.`);
  }
  if (forecast) {
    const interval = forecast.level ? ` with its ${Math.round(forecast.level * 100)} % interval` : "";
    words.push(`Forecast by ${(forecast.method || "a trained forecaster").replaceAll("_", " ")}${interval}.`);
    if (scores && scores.method === forecast.method) {
      const kept = scores.persistence ? ` (the last value kept: ${said(scores.persistence)})` : "";
      const covered = scores.coverage ? `, and ${Math.round(scores.coverage * 100)} % of what came lay inside the interval.` : ".";
      words.push(`Over past origins its RMSE was ${said(scores.rmse)} mm${kept}${covered}`);
    }
  }
  return words.join(" ");
}
