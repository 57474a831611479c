import assert from "node:assert/strict";
import { test } from "node:test";
import { uncovered } from "../src/cover.js";

const [columns, rows, missing] = [60, 40, -32768];

function chance(seed) {
  let state = seed;
  return () => ((state = (state * 1664525 + 1013904223) >>> 0) / 2 ** 32);
}

function chunk(n, seed) {
  const next = chance(seed);
  const draw = (reach) => Int32Array.from({ length: n }, () => Math.floor((next() - 0.5) * reach));
  const v = Int16Array.from({ length: n }, () => (next() < 0.1 ? missing : 5));
  return { east: draw(1400), north: draw(1000), shown: Uint8Array.from({ length: n }, () => Number(next() < 0.9)), values: { v } };
}

// which point each pixel shows; edges of points lie so many pixels farther out
function picture(chunks, drawn, { view, size, round }, farther) {
  const seen = new Int32Array(columns * rows).fill(-1);
  let before = 0;
  chunks.forEach(({ east, north, shown, values }, c) => {
    for (const i of drawn ? drawn[c] : east.keys()) {
      if (!shown[i]) continue;
      const [x, y] = [(east[i] - view[0]) / view[2] + columns / 2, (north[i] - view[1]) / view[2] + rows / 2];
      const reach = (values.v[i] === missing ? Math.max(size * 0.7, 1) : size) / 2 + farther;
      for (let row = Math.max(Math.floor(y - reach), 0); row < Math.min(y + reach, rows); row++) {
        for (let column = Math.max(Math.floor(x - reach), 0); column < Math.min(x + reach, columns); column++) {
          const [dx, dy] = [Math.abs(column + 0.5 - x), Math.abs(row + 0.5 - y)];
          if (round ? Math.hypot(dx, dy) <= reach : Math.max(dx, dy) <= reach) seen[row * columns + column] = before + i;
        }
      }
    }
    before += east.length;
  });
  return seen;
}

test("what is left out changes no pixel, wherever a renderer places edges", () => {
  const chunks = [chunk(900, 1), chunk(700, 2)];
  for (const [size, round, step] of [[1.6, false, 10], [2.4, false, 25], [4, true, 12], [8, true, 20]]) {
    const frame = { view: [3, -7, step], width: columns, height: rows, columns, rows, size, round, name: "v", missing, classes: 0 };
    const drawn = uncovered(chunks, frame);
    for (const farther of [0, 0.06, -0.06]) {
      assert.deepEqual(picture(chunks, drawn, frame, farther), picture(chunks, null, frame, farther));
    }
    drawn.forEach((found, c) => {
      assert.ok(found.length < chunks[c].east.length);
      assert.ok(found.every((i, k) => chunks[c].shown[i] && (k === 0 || i > found[k - 1])));
    });
  }
});

test("of points at one place the last is drawn, and of smaller ones on top all", () => {
  const place = () => Int32Array.from([4, 4, 4]);
  const at = (values) => [{ east: place(), north: place(), shown: new Uint8Array(3).fill(1), values: { v: Int8Array.from(values) } }];
  const frame = { view: [0, 0, 1], width: columns, height: rows, columns, rows, size: 8, round: true, name: "v", missing, classes: 4 };
  assert.deepEqual([...uncovered(at([1, 2, 3]), frame)[0]], [2]);
  assert.deepEqual([...uncovered(at([1, 2, -1]), frame)[0]], [1, 2]);
});
