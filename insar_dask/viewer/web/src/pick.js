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

// rows of the points inside a polygon [[east, north], ...]; its box first, then even crossings
export function inside(chunks, polygon) {
  const xs = polygon.map((p) => p[0]);
  const ys = polygon.map((p) => p[1]);
  const [west, east, south, north] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  const n = polygon.length;
  const found = [];
  for (const chunk of chunks) {
    const { east: x, north: y, shown, row } = chunk;
    for (let i = 0; i < x.length; i++) {
      if (!shown[i] || x[i] < west || x[i] > east || y[i] < south || y[i] > north) continue;
      let odd = false;
      for (let a = 0, b = n - 1; a < n; b = a++) {
        if (ys[a] > y[i] !== ys[b] > y[i] && x[i] < ((xs[b] - xs[a]) * (y[i] - ys[a])) / (ys[b] - ys[a]) + xs[a]) odd = !odd;
      }
      if (odd) found.push(row[i]);
    }
  }
  return Uint32Array.from(found).sort();
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
