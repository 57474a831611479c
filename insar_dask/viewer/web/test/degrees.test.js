import assert from "node:assert/strict";
import { test } from "node:test";
import { degreesAt, placeAt, readPlace, saidDegrees } from "../src/degrees.js";

// longitude 13 + 0.5 u + 0.1 T2(v), latitude -38 + 0.4 v + 0.05 u v
const found = { middle: [4500000, 1700000], half: [50000, 40000], longitude: [[13, 0, 0.1], [0.5, 0, 0], [0, 0, 0]], latitude: [[-38, 0.4, 0], [0, 0.05, 0], [0, 0, 0]] };

test("degrees are those of the polynomial, and none outside", () => {
  const [u, v] = [0.6, -0.25];
  const [longitude, latitude] = degreesAt(found, 4500000 + 50000 * u, 1700000 + 40000 * v);
  assert.ok(Math.abs(longitude - (13 + 0.5 * u + 0.1 * (2 * v * v - 1))) < 1e-12);
  assert.ok(Math.abs(latitude - (-38 + 0.4 * v + 0.05 * u * v)) < 1e-12);
  assert.equal(degreesAt(found, 4600000, 1700000), null);
  assert.equal(degreesAt(null, 0, 0), null);
});

test("a place is found again by its degrees, and none outside", () => {
  for (const place of [[4500000, 1700000], [4549000, 1739000], [4451000, 1662000]]) {
    const back = placeAt(found, ...degreesAt(found, ...place));
    assert.ok(Math.hypot(back[0] - place[0], back[1] - place[1]) < 0.01);
  }
  assert.equal(placeAt(found, 20, -38), null);
  assert.equal(placeAt(null, 13, -38), null);
});

test("what somebody writes is a place or none", () => {
  const [longitude, latitude] = degreesAt(found, 4510000, 1690000);
  for (const text of [`${latitude}, ${longitude}`, `${-latitude}° S ${longitude}° E`, `−${-latitude} ${longitude}`]) {
    const place = readPlace(found, text);
    assert.ok(Math.hypot(place[0] - 4510000, place[1] - 1690000) < 0.01, text);
  }
  assert.deepEqual(readPlace(found, "4510000 1690000.5"), [4510000, 1690000.5]);
  for (const text of ["", "here", "12", "1 2 3", "50, 13"]) assert.equal(readPlace(found, text), null, text);
  assert.equal(saidDegrees([-13.5, -38.25], 2), "38.25° S 13.50° W");
});
