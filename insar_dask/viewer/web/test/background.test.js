import assert from "node:assert/strict";
import { test } from "node:test";
import { tilesOf } from "../src/background.js";

test("tiles are those of the web: Vienna at zoom 12", () => {
  // longitude 16.3738, latitude 48.2082: column 2234, row 1420 by the formula of the web's maps
  const [x, y] = [1822723.1, 6141584.3];
  const found = tilesOf([x, y, x + 1, y + 1], 38.2);
  assert.equal(found.length, 1);
  const [zoom, column, row, west, north, side] = found[0];
  const latitude = (48.2082 * Math.PI) / 180;
  assert.deepEqual([zoom, column, row], [12, Math.floor(((16.3738 + 180) / 360) * 4096), Math.floor(((1 - Math.asinh(Math.tan(latitude)) / Math.PI) / 2) * 4096)]);
  assert.ok(west <= x && x < west + side && north >= y && y > north - side);
});

test("a view is covered, and the world has an end", () => {
  const found = tilesOf([-1e9, -1e9, 1e9, 1e9], 156543.03);
  assert.deepEqual(found.map(([zoom, column, row]) => [zoom, column, row]), [[0, 0, 0]]);
  assert.equal(tilesOf([0, 0, 1000, 1000], 0.01)[0][0], 19);
});
