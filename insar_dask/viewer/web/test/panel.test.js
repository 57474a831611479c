import assert from "node:assert/strict";
import { test } from "node:test";
import { asGiven } from "../src/dom.js";
import { alarmRows, alarmWords, judged, rule } from "../src/alarms.js";
import { areaAt, areasOf, boxOf, cardRows } from "../src/areas.js";
import { longestGap } from "../src/evidence.js";
import { foretoldOf, seriesLines } from "../src/lines.js";
import { csv } from "../src/table.js";

const days = [0, 6, 12, 24];
const about = { name: "a\nb", said: { source: "x\ny" }, crs: { epsg: 3035 }, motion: null, forecast: { method: "m", level: 0.9, days: [30, 36] }, series: { displacement: { label: "Observed", days, observed: null } } };
const point = (id, values, forecast = null) => ({ row: 1, id, series: { displacement: values }, motion: {}, place: {}, forecast, ready: true });

test("a gap is the longest between valid dates", () => {
  assert.equal(longestGap(days, [1, NaN, 2, 3]), 12);
  assert.ok(Number.isNaN(longestGap(days, [NaN, NaN, 2, NaN])));
});

test("a band reaches to the line before it, whatever stands before both", () => {
  const forecast = { displacement: [1, 2], lower: [0, 1], upper: [2, 3] };
  const lines = seriesLines(about, [point("a", [1, 2, 3, 4], forecast), point("b", [1, 2, 3, 4], forecast)], new Set(["forecast", "difference"]));
  const banded = lines.flatMap((line, i) => (line.band === undefined ? [] : [[line.label, lines[line.band].label, i - line.band]]));
  assert.deepEqual(banded, [["Lower 1", "Upper 1", 1], ["Lower 2", "Upper 2", 1]]);
  assert.deepEqual(lines.at(-1).values, [0, 0, 0, 0]);
});

test("no text of a store begins a row of the table", () => {
  const text = csv(about, [point("p\n1,2", [1, NaN, 2.5, 3])], null);
  const rows = text.trim().split("\n").filter((line) => !line.startsWith("#"));
  assert.deepEqual(rows, ["date,observed", "1970-01-01,1", "1970-01-07,", "1970-01-13,2.5", "1970-01-25,3"]);
});

test("areas are listed by size, found by place and say what is known", () => {
  const square = (x, y, side) => [x, y, x + side, y, x + side, y + side, x, y + side];
  const areas = areasOf({ areas: [{ scene: "s", vintage: "v", areas: [{ rings: [square(0, 0, 10)], card: { area_id: "small", area_m2: 1 } }, { rings: [square(20, 20, 30), square(30, 30, 5)], card: { area_id: "ring", area_m2: 9, velocity_mean: -4.25, velocity_std: 0.5, height_m: null, onset: "2022-03-01", onset_first: "2022-01-01", onset_last: "2022-05-01" } }] }] });
  assert.deepEqual(areas.map((area) => area.card.area_id), ["ring", "small"]);
  assert.equal(areaAt(areas, 5, 5).card.area_id, "small");
  assert.equal(areaAt(areas, 25, 25).card.area_id, "ring");
  assert.equal(areaAt(areas, 32, 32), null);
  assert.deepEqual(boxOf(areas[0]), [20, 20, 50, 50]);
  assert.deepEqual(cardRows(areas[0].card), [
    ["Area", "m²", "9", ""],
    ["Mean velocity", "mm/yr", "−4.3", " ± 0.5"],
    ["Began", "", "2022-03-01", " (2022-01-01 to 2022-05-01)"],
  ]);
});

test("an alarm says how far off, since when, and how many of such may be false", () => {
  const alarms = { rate: 0.1, control: "bh", lasting: 3, days: [19000, 19012, 19024, 19036], n_judged: 5000, n_alarmed: 20, not_judged: 2, seen: false };
  assert.ok(judged({ alarms }) && !judged({ alarms: null }) && !judged({ alarms: { absent: "no date is new" } }));
  assert.match(rule(alarms), /^20 of 5,000 points .* last 3 of 4 new dates.* at most 10\u00a0% are expected to be false\. 2 later dates/);
  const point = { alarm: 1, departure: -28.04, excess: -11.9, q_value: 0.0149, lasting: 3, since: 12 };
  assert.deepEqual(alarmRows(alarms, point), [
    ["Alarm", "", "yes", " 10\u00a0% may be false"],
    ["Departure from the forecast", "mm", "−28.0", " 11.9 half intervals"],
    ["Alarm from a false share of", "", "1.5\u00a0%", ""],
    ["Outside the interval since", "", "2022-01-20", " 3 dates in a row"],
  ]);
  assert.deepEqual(alarmRows(alarms, { alarm: -1 }), [["Alarm", "", "not judged", ""]]);
  assert.deepEqual(alarmWords(alarms, point), { ...point, since: "2022-01-20" });
  assert.deepEqual(alarmWords(alarms, { alarm: 0, since: NaN }), { alarm: 0, since: null });
  assert.deepEqual(alarmWords(null, {}), {});
});

test("what was foretold of new dates is what came less its departure, with half the interval to each side", () => {
  const told = { ...about, alarms: { days: [12, 24], foretold: {} } };
  const one = { ...point("a", [1, 2, 3, -27]), foretold: { departure: [NaN, -30], half_width: [2, 2.5] } };
  assert.deepEqual(foretoldOf(told, one), { days: [12, 24], middle: [NaN, 3], lower: [NaN, 0.5], upper: [NaN, 5.5] });
  const lines = seriesLines(told, [one], new Set(["foretold"]));
  assert.deepEqual(lines.map((line) => [line.label, lines[line.band]?.label]), [["Observed", undefined], ["Foretold at most", undefined], ["Foretold at least", "Foretold at most"], ["Foretold", undefined]]);
});

test("a limit is told as it was given", () => {
  assert.deepEqual([-2.5, 12.5, 0.4, -0.4, -50].map(asGiven), ["−2.5", "12.5", "0.4", "−0.4", "−50"]);
});
