import assert from "node:assert/strict";
import { test } from "node:test";
import { inside, nearest, quantile, sample, sift } from "../src/pick.js";

function chance(seed) {
  let state = seed;
  return () => ((state = (state * 1664525 + 1013904223) >>> 0) / 2 ** 32);
}

function chunk(n, seed, row = 0) {
  const next = chance(seed);
  const draw = () => Int32Array.from({ length: n }, () => Math.floor(next() * 20000) - 10000);
  return { east: draw(), north: draw(), row: Uint32Array.from({ length: n }, (_, i) => row + i), shown: new Uint8Array(n).fill(1), values: {} };
}

test("the nearest point is the nearest, within reach and not hidden", () => {
  const chunks = [chunk(500, 1), chunk(700, 2, 500)];
  const next = chance(9);
  for (let k = 0; k < 50; k++) {
    const [e, n] = [next() * 20000 - 10000, next() * 20000 - 10000];
    const all = chunks.flatMap((c) => Array.from(c.east, (x, i) => ({ d: Math.hypot(x - e, c.north[i] - n), row: c.row[i] })));
    const best = all.reduce((a, b) => (b.d < a.d ? b : a));
    const found = nearest(chunks, e, n, 900);
    if (best.d > 900) assert.equal(found, null);
    else assert.equal(found.chunk.row[found.i], best.row);
  }
  const found = nearest(chunks, chunks[0].east[3], chunks[0].north[3], 50);
  found.chunk.shown[found.i] = 0;
  assert.notEqual(nearest(chunks, chunks[0].east[3], chunks[0].north[3], 50)?.i, found.i);
});

test("a lasso holds what winds around its points", () => {
  const chunks = [chunk(4000, 5)];
  chunks[0].shown[17] = 0;
  const star = [[0, 8000], [-3000, -7000], [7000, 2500], [-7500, 2000], [4000, -7000]];
  const winding = (x, y) => {
    let crossings = 0;
    star.forEach(([ax, ay], i) => {
      const [bx, by] = star[(i + 1) % star.length];
      if ((ay <= y && by > y) || (by <= y && ay > y)) if (ax + ((y - ay) / (by - ay)) * (bx - ax) > x) crossings++;
    });
    return crossings % 2 === 1;
  };
  const wanted = [...chunks[0].row].filter((i) => i !== 17 && winding(chunks[0].east[i], chunks[0].north[i]));
  assert.deepEqual([...inside(chunks, star)], wanted);
  assert.ok(wanted.length > 200);
  assert.equal(inside(chunks, [[20000, 20000], [20001, 20000], [20000, 20001]]).length, 0);
});

test("filters hide what lies outside, and what has no value", () => {
  const one = chunk(4, 3);
  one.values = { coherence: Int16Array.from([9000, 4000, -32768, 5000]), cluster: Int8Array.from([0, 1, -1, 2]) };
  const variables = { coherence: { step: 0.0001 }, cluster: { step: 1 } };
  assert.deepEqual([...sift(one, { coherence: [0.5, 1] }, variables, -32768)], [1, 0, 0, 1]);
  assert.deepEqual([...sift(one, { cluster: new Set([0, -1]) }, variables, -32768)], [1, 0, 1, 0]);
  assert.deepEqual([...sift(one, { cluster: new Set([0, 2]), coherence: [0.6, 1] }, variables, -32768)], [1, 0, 0, 0]);
  assert.deepEqual([...sift(one, {}, variables, -32768)], [1, 1, 1, 1]);
});

test("quantiles are NumPy's and samples are even", () => {
  assert.equal(quantile([1, 2, 3, 4], 0.1), 1.3);
  assert.equal(quantile([5], 0.9), 5);
  assert.deepEqual(sample(Uint32Array.from([4, 5, 6]), 5), [4, 5, 6]);
  const found = sample(Uint32Array.from({ length: 1000 }, (_, i) => i), 10);
  assert.deepEqual(found, [50, 150, 250, 350, 450, 550, 650, 750, 850, 950]);
});
