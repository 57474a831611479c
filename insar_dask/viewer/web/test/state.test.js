import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode } from "../src/state.js";

const variables = { velocity: { kind: "signed" }, coherence: { kind: "positive" }, cluster: { kind: "class" }, alarm: { kind: "flag" } };

test("what is written is read", () => {
  const state = {
    product: "a b&c=d",
    variable: "velocity",
    range: [-12.5, 12.5],
    view: [-123.5, 77, 0.25],
    filters: { coherence: [0.4, 1.01], cluster: new Set([-1, 0, 3]) },
    points: [{ row: 12, id: "10~x&#1" }, { row: 0, id: "" }],
    area: "scene-3",
    tab: "components",
    lines: ["fit", "smooth"],
  };
  assert.deepEqual(decode(`#${encode(state)}`, variables), state);
});

test("a flag is no colour, and may be a filter", () => {
  assert.deepEqual(decode("#colour=alarm&only.alarm=1", variables), { filters: { alarm: new Set([1]) }, points: [], gone: ["alarm"] });
});

test("what is usual is not written", () => {
  assert.equal(encode({ variable: "velocity", tab: "series", filters: {}, points: [] }), "colour=velocity");
  assert.deepEqual(decode("", variables), { filters: {}, points: [] });
});

test("what is no value is left out", () => {
  const text = "#colour=__proto__&range=3~1&view=1~2~-1&only.coherence=x~1&only.nothing=1~2&point=1.5~a&point=-1~b&point=a&tab=<b>&lines=fit.evil&near=1~b";
  assert.deepEqual(decode(text, variables), { filters: {}, points: [], lines: ["fit"], gone: ["__proto__", "nothing"] });
  assert.deepEqual(decode("#view=1~2~Infinity&range=NaN~2", variables), { filters: {}, points: [] });
  const many = Array.from({ length: 9 }, (_, i) => `point=${i}~a&point=${i}~b`).join("&");
  assert.deepEqual(decode(`#${many}`).points.map((point) => point.row), [0, 1, 2]);
  assert.deepEqual(decode("near=13.1~-38.7").near, [13.1, -38.7]);
});
