// Which points lie where: plain loops over all of them, 6 ms for a million.

// chunks: {east, north, shown, size}; places in decimetres from the offset; shown[i] is 0 where a filter hides i
export function nearest(chunks, east, north, reach) {
  let best = reach * reach;
  let found = null;
  for (const chunk of chunks) {
    const { east: x, north: y, shown } = chunk;
    for (let i = 0; i < x.length; i++) {
      const dx = x[i] - east;
      const dy = y[i] - north;
      const distance = dx * dx + dy * dy;
      if (distance <= best && shown[i]) {
        best = distance;
        found = { chunk, i };
      }
    }
  }
  return found;
}

// whether a place lies inside rings [[[east, north], ...], ...]: it does where an odd number of sides lies beside it
export function encloses(rings, east, north) {
  let odd = false;
  for (const ring of rings) {
    for (let a = 0, b = ring.length - 1; a < ring.length; b = a++) {
      const [x, y] = ring[a];
      const [u, v] = ring[b];
      if (y > north !== v > north && east < ((u - x) * (north - y)) / (v - y) + x) odd = !odd;
    }
  }
  return odd;
}

// [chunk, number] of the points inside rings; their box first
export function within(chunks, rings) {
  const found = [];
  scan(chunks, rings, (chunk, i) => found.push([chunk, i]));
  return found;
}

// rows of the points inside a polygon [[east, north], ...], or inside several rings
export function inside(chunks, polygon) {
  const found = [];
  scan(chunks, Array.isArray(polygon[0]?.[0]) ? polygon : [polygon], (chunk, i) => found.push(chunk.row[i]));
  return Uint32Array.from(found).sort();
}

// sides are laid out flat: a lasso of 500,000 points is waited for
function scan(chunks, rings, take) {
  const sides = rings.flatMap((ring) => ring.map(([x, y], i) => [x, y, ...ring.at(i - 1)]));
  const n = sides.length;
  const [ax, ay, bx, by] = [0, 1, 2, 3].map((k) => Float64Array.from(sides, (side) => side[k]));
  let [west, east, south, north] = [Infinity, -Infinity, Infinity, -Infinity];
  for (let k = 0; k < n; k++) {
    west = Math.min(west, ax[k]);
    east = Math.max(east, ax[k]);
    south = Math.min(south, ay[k]);
    north = Math.max(north, ay[k]);
  }
  for (const chunk of chunks) {
    const { east: x, north: y, shown } = chunk;
    for (let i = 0; i < x.length; i++) {
      if (!shown[i] || x[i] < west || x[i] > east || y[i] < south || y[i] > north) continue;
      let odd = false;
      for (let k = 0; k < n; k++) {
        if (ay[k] > y[i] !== by[k] > y[i] && x[i] < ((bx[k] - ax[k]) * (y[i] - ay[k])) / (by[k] - ay[k]) + ax[k]) odd = !odd;
      }
      if (odd) take(chunk, i);
    }
  }
}

// filters: {name: [low, high]} or, of classes, {name: Set}; values are stored numbers, step and missing undone here
export function sift(chunk, filters, variables, missing) {
  const n = chunk.east.length;
  const shown = new Uint8Array(n).fill(1);
  for (const [name, wanted] of Object.entries(filters)) {
    const stored = chunk.values[name];
    if (!stored) continue;
    if (wanted instanceof Set) {
      for (let i = 0; i < n; i++) if (!wanted.has(stored[i])) shown[i] = 0;
      continue;
    }
    const step = variables[name].step;
    const [low, high] = [Math.ceil(wanted[0] / step - 1e-6), Math.floor(wanted[1] / step + 1e-6)];
    for (let i = 0; i < n; i++) if (stored[i] === missing || stored[i] < low || stored[i] > high) shown[i] = 0;
  }
  return shown;
}

// evenly many of many
export const sample = (rows, most) =>
  rows.length <= most ? Array.from(rows) : Array.from({ length: most }, (_, i) => rows[Math.floor(((i + 0.5) * rows.length) / most)]);

// quantile of sorted numbers, as NumPy has it by default
export function quantile(sorted, q) {
  const at = q * (sorted.length - 1);
  const left = Math.floor(at);
  return sorted[left] + (at - left) * ((sorted[left + 1] ?? sorted[left]) - sorted[left]);
}
