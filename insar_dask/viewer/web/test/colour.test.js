import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { classColour, colourOf, place, table } from "../src/colour.js";

const hex = (rgb) => `#${[...rgb].map((x) => x.toString(16).padStart(2, "0")).join("")}`;
// written by the Python test from matplotlib; without it the ends are looked at alone
const oracle = process.env.COLOUR_TABLES ? JSON.parse(readFileSync(process.env.COLOUR_TABLES, "utf8")) : null;

test("negative is red and positive is blue", () => {
  const [low, , lowBlue] = colourOf(-5, "signed", [-10, 10]);
  const [high, , highBlue] = colourOf(5, "signed", [-10, 10]);
  assert.ok(low > lowBlue + 50);
  assert.ok(highBlue > high + 50);
  assert.equal(hex(colourOf(-99, "signed", [-10, 10])), "#67001f");
  assert.equal(hex(colourOf(99, "signed", [-10, 10])), "#053061");
});

test("tables are those of matplotlib", { skip: oracle === null && "COLOUR_TABLES is not set" }, () => {
  for (const [kind, wanted] of [["signed", oracle.RdBu], ["positive", oracle.viridis]]) {
    const found = table(kind);
    wanted.forEach((rgb, i) => rgb.forEach((x, c) => assert.ok(Math.abs(found[3 * i + c] - x) <= 1, `${kind} ${i}: ${found[3 * i + c]} for ${x}`)));
  }
  oracle.patterns.forEach((colours, n) => colours.forEach((colour, i) => assert.equal(hex(classColour(i, n + 1)), colour, `pattern ${i} of ${n + 1}`)));
});

test("a value has its place between the ends", () => {
  assert.equal(place(-1, [0, 1]), 0);
  assert.equal(place(0.5, [0, 1]), 128);
  assert.equal(place(3, [0, 1]), 255);
  assert.equal(hex(colourOf(NaN, "signed", [-1, 1])), "#3a3d42");
  assert.equal(hex(colourOf(-1, "class", [0, 8], 8)), "#3a3d42");
  assert.equal(hex(colourOf(0, "class", [0, 8], 8)), "#8b2f2f");
});
