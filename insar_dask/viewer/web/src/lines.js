// Lines of the chart: what is observed of the chosen points, the fit, components and forecast; or an area's mean.
import { CHOSEN } from "./colour.js";
import { fitOf } from "./fit.js";

export const COMPONENTS = { trend: "#0072b2", season: "#009e73", residual: "#8a8f98" };
const DASHES = { trend: undefined, season: [6, 4], residual: [2, 3] };

export function fitOfPoint(about, point) {
  const { days } = about.series.displacement;
  return about.motion ? fitOf(point.motion, days, point.series.displacement, days) : null;
}

// what was foretold of the new dates, by the forecast that was stored before they came
export function foretoldOf(about, { series, foretold }) {
  if (!foretold) return null;
  const at = new Map(about.series.displacement.days.map((day, i) => [day, series.displacement[i]]));
  const { days } = about.alarms;
  const middle = days.map((day, i) => at.get(day) - foretold.departure[i]);
  const side = (sign) => middle.map((x, i) => x + sign * foretold.half_width[i]);
  return { days, middle, lower: side(-1), upper: side(1) };
}

export function areaLines(about, { mean, low, high }) {
  const { days } = about.series.displacement;
  const colour = CHOSEN[0];
  return [
    { label: "90th percentile", days, values: high, colour: `${colour}77`, width: 1 },
    { label: "10th percentile", days, values: low, colour: `${colour}77`, width: 1, band: 0, fill: `${colour}2e` },
    { label: "Mean", days, values: mean, colour, width: 2 },
  ];
}

export function componentLines(about, points) {
  const one = points.length === 1;
  return points.flatMap((point, i) =>
    Object.entries(COMPONENTS)
      .filter(([name]) => point.series[name])
      .map(([name, ink]) => {
        const { label, days } = about.series[name];
        return { label: one ? label : `${label} ${i + 1}`, days, values: point.series[name], colour: one ? ink : CHOSEN[i], dash: one ? undefined : DASHES[name] };
      }),
  );
}

// on: names of what is switched on
export function seriesLines(about, points, on) {
  const one = points.length === 1;
  const lines = points.flatMap((point, i) => {
    const mark = one ? "" : ` ${i + 1}`;
    return [...observed(about, point, one ? "#7f8794" : CHOSEN[i], mark), ...models(about, point, on, CHOSEN[i], mark)];
  });
  // bands name the line that they reach to by its number
  lines.forEach((line, i) => line.band !== undefined && (line.band = i - 1));
  if (points.length === 2 && on.has("difference")) {
    const [a, b] = points.map((point) => point.series.displacement);
    lines.push({ label: "1 − 2", days: about.series.displacement.days, values: a.map((x, t) => x - b[t]), colour: CHOSEN[4], width: 1.3 });
  }
  return lines;
}

function observed(about, point, colour, mark) {
  const { days, observed: real } = about.series.displacement;
  const dots = (wanted) => point.series.displacement.map((x, t) => (!real || Boolean(real[t]) === wanted ? x : NaN));
  const lines = [{ label: `Observed${mark}`, days, values: dots(true), colour, dots: true }];
  if (real?.includes(0)) lines.push({ label: `Made up${mark}`, days, values: dots(false), colour, dots: true, hollow: true });
  return lines;
}

function models(about, point, on, colour, mark) {
  const { series, forecast } = about;
  const one = mark === "";
  const lines = [];
  const fit = on.has("fit") ? fitOfPoint(about, point) : null;
  if (fit) lines.push({ label: `Fit${mark}`, days: series.displacement.days, values: fit, colour, width: 2 });
  if (point.series.smooth && on.has("smooth")) lines.push({ label: `Smoothed${mark}`, days: series.smooth.days, values: point.series.smooth, colour: one ? "#009e73" : colour, width: 1.4, dash: [5, 4] });
  const told = on.has("foretold") ? foretoldOf(about, point) : null;
  if (told) {
    const tint = one ? "#7a5cc4" : colour;
    lines.push({ label: `Foretold at most${mark}`, days: told.days, values: told.upper, colour: `${tint}66`, width: 1 });
    lines.push({ label: `Foretold at least${mark}`, days: told.days, values: told.lower, colour: `${tint}66`, width: 1, band: 0, fill: `${tint}33` });
    lines.push({ label: `Foretold${mark}`, days: told.days, values: told.middle, colour: tint, width: 2.2 });
  }
  if (!point.forecast || !on.has("forecast")) return lines;
  const ink = one ? "#d55e00" : colour;
  const { displacement, lower, upper } = point.forecast;
  if (lower && upper) {
    lines.push({ label: `Upper${mark}`, days: forecast.days, values: upper, colour: `${ink}66`, width: 1 });
    lines.push({ label: `Lower${mark}`, days: forecast.days, values: lower, colour: `${ink}66`, width: 1, band: 0, fill: `${ink}33` });
  }
  lines.push({ label: `Forecast${mark}`, days: forecast.days, values: displacement, colour: ink, width: 2.2 });
  return lines;
}
