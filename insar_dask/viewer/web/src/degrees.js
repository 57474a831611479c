// Longitude and latitude of places by the polynomials of the product's document, and the way back.

function chebyshev(x, n) {
  const found = [1, x];
  while (found.length < n) found.push(2 * x * found.at(-1) - found.at(-2));
  return found;
}

const sum = (table, u, v) => table.reduce((all, row, i) => all + u[i] * row.reduce((one, c, j) => one + c * v[j], 0), 0);

function evaluate(found, u, v) {
  const n = found.longitude.length;
  const [a, b] = [chebyshev(u, n), chebyshev(v, n)];
  return [sum(found.longitude, a, b), sum(found.latitude, a, b)];
}

// a polynomial says nothing of places far outside of the one it was made for
const WITHIN = 1.1;

// [longitude, latitude] of a place [m]; null outside
export function degreesAt(found, east, north) {
  if (!found) return null;
  const u = (east - found.middle[0]) / found.half[0];
  const v = (north - found.middle[1]) / found.half[1];
  return Math.abs(u) <= WITHIN && Math.abs(v) <= WITHIN ? evaluate(found, u, v) : null;
}

// [easting, northing] of degrees, by Newton's steps; null outside
export function placeAt(found, longitude, latitude) {
  if (!found) return null;
  let [u, v] = [0, 0];
  for (let i = 0; i < 30; i++) {
    const [x, y] = evaluate(found, u, v);
    const d = 1e-4;
    const [xu, yu] = evaluate(found, u + d, v).map((value, k) => (value - [x, y][k]) / d);
    const [xv, yv] = evaluate(found, u, v + d).map((value, k) => (value - [x, y][k]) / d);
    const area = xu * yv - xv * yu;
    const [dx, dy] = [longitude - x, latitude - y];
    const [du, dv] = [(dx * yv - dy * xv) / area, (dy * xu - dx * yu) / area];
    u += Math.max(Math.min(du, 0.5), -0.5);
    v += Math.max(Math.min(dv, 0.5), -0.5);
    if (Math.abs(u) > 2 || Math.abs(v) > 2 || !Number.isFinite(u + v)) return null;
    if (Math.abs(du) + Math.abs(dv) < 1e-10) break;
  }
  if (Math.abs(u) > WITHIN || Math.abs(v) > WITHIN) return null;
  return [found.middle[0] + u * found.half[0], found.middle[1] + v * found.half[1]];
}

export function saidDegrees([longitude, latitude], places = 5) {
  return `${Math.abs(latitude).toFixed(places)}° ${latitude < 0 ? "S" : "N"} ${Math.abs(longitude).toFixed(places)}° ${longitude < 0 ? "W" : "E"}`;
}

// what somebody wrote to go to: "38.7, 13.17" is latitude and longitude, larger numbers are easting and northing [m]
export function readPlace(found, text) {
  const words = text.replaceAll("−", "-").match(/-?\d+(?:\.\d+)?/g) ?? [];
  if (words.length !== 2) return null;
  const [a, b] = words.map(Number);
  if (Math.abs(a) > 90 || Math.abs(b) > 360) return [a, b];
  const [west, south] = [/\dW|\d\s*°?\s*W/i.test(text), /\d\s*°?\s*S/i.test(text)];
  return placeAt(found, west ? -Math.abs(b) : b, south ? -Math.abs(a) : a);
}
