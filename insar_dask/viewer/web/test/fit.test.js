import assert from "node:assert/strict";
import { test } from "node:test";
import { fitOf, iso } from "../src/fit.js";

test("the fit of a line with an annual signal is that line", () => {
  const days = Array.from({ length: 200 }, (_, i) => 18280 + 6 * i); // from 2020-01-19
  const truth = (day) => {
    const years = (day - days[0]) / 365;
    return 3 - 7.5 * years + 4 * Math.cos(2 * Math.PI * (years - (100 - 19) / 365)); // peaks on day 100 of its year
  };
  const values = days.map((day, i) => (i % 9 === 4 ? NaN : truth(day)));
  const found = fitOf({ velocity: -7.5, seasonality: 4, phase: 100 }, days, values, days);
  days.forEach((day, i) => assert.ok(Math.abs(found[i] - truth(day)) < 1e-9));
  assert.equal(fitOf({ velocity: NaN, seasonality: 1, phase: 1 }, days, values, days), null);
  assert.equal(fitOf({ velocity: 1, seasonality: 1, phase: 1 }, days, days.map(() => NaN), days), null);
  assert.equal(iso(18280), "2020-01-19");
});
