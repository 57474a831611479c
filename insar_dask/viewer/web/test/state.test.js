import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode } from "../src/state.js";

const variables = { velocity: { kind: "signed" }, coherence: { kind: "positive" }, cluster: { kind: "class" } };

test("what is written is read", () => {
  const state = {
    product: "a b&c=d",
    variable: "velocity",
    range: [-12.5, 12.5],
    view: [-123.5, 77, 0.25],
    filters: { coherence: [0.4, 1.01], cluster: new Set([-1, 0, 3]) },
    points: [{ row: 12, id: "10~x&#1" }, { row: 0, id: "" }],
    tab: "components",
    lines: ["fit", "smooth"],
  };
  assert.deepEqual(decode(`#${encode(state)}`, variables), state);
});

test("what is usual is not written", () => {
  assert.equal(encode({ variable: "velocity", tab: "series", filters: {}, points: [] }), "colour=velocity");
  assert.deepEqual(decode("", variables), { filters: {}, points: [] });
});

test("what is no value is left out", () => {
  const text = "#colour=__proto__&range=3~1&view=1~2~-1&only.coherence=x~1&only.nothing=1~2&point=1.5~a&point=-1~b&point=a&tab=<b>&lines=fit.evil";
  assert.deepEqual(decode(text, variables), { filters: {}, points: [], lines: ["fit"] });
  assert.deepEqual(decode("#view=1~2~Infinity&range=NaN~2", variables), { filters: {}, points: [] });
  assert.equal(decode(`#${"point=1~a&".repeat(9)}`).points.length, 5);
});
