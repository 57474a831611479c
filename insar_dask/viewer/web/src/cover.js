// Which points are to be seen: one that lies wholly under later ones changes no pixel and need not be drawn.

const UNSURE = 0.07; // pixels by which a renderer may place an edge elsewhere: it must know a sixteenth of one

// of each chunk the numbers of points to draw, in their order; the last point of the last chunk lies on top.
// chunks: {east, north, shown, values}; frame: {view, width, height} as the map has them, {columns, rows} pixels, size of
// a point in them, whether round, and the variable it is coloured by: {name, missing, classes}
export function uncovered(chunks, { view, width, height, columns, rows, size, round, name, missing, classes }) {
  const taken = new Uint8Array(columns * rows);
  const [x0, y0] = [Math.fround(view[0]), Math.fround(view[1])];
  const [across, down] = [columns / width / view[2], rows / height / view[2]];
  const [whole, small] = [size / 2, Math.max(size * 0.7, 1) / 2];
  const found = new Array(chunks.length);
  for (let c = chunks.length - 1; c >= 0; c--) {
    const { east, north, shown, values } = chunks[c];
    const value = values[name];
    const kept = new Uint32Array(east.length);
    let first = east.length;
    for (let i = east.length - 1; i >= 0; i--) {
      if (!shown[i]) continue;
      const x = (Math.fround(east[i]) - x0) * across + columns / 2 - 0.5;
      const y = (Math.fround(north[i]) - y0) * down + rows / 2 - 0.5;
      const reach = (classes ? value[i] < 0 : value[i] === missing) ? small : whole;
      if (!bare(x, y, reach + UNSURE)) continue;
      kept[--first] = i;
      // a renderer may leave out what has its middle beyond the edge
      if (x > 0 && y > 0 && x < columns - 1 && y < rows - 1) take(x, y, reach - UNSURE);
    }
    found[c] = kept.subarray(first);
  }
  return found;

  // whether a pixel that the point may reach is free
  function bare(x, y, reach) {
    const [left, right] = [Math.max(Math.ceil(x - reach), 0), Math.min(Math.floor(x + reach), columns - 1)];
    const [low, high] = [Math.max(Math.ceil(y - reach), 0), Math.min(Math.floor(y + reach), rows - 1)];
    for (let row = low; row <= high; row++) {
      for (let column = left; column <= right; column++) {
        if (!taken[row * columns + column] && !(round && beyond(column - x, row - y, reach))) return true;
      }
    }
    return false;
  }

  // the pixels that it surely reaches
  function take(x, y, reach) {
    const [left, right] = [Math.max(Math.ceil(x - reach), 0), Math.min(Math.floor(x + reach), columns - 1)];
    const [low, high] = [Math.max(Math.ceil(y - reach), 0), Math.min(Math.floor(y + reach), rows - 1)];
    for (let row = low; row <= high; row++) {
      for (let column = left; column <= right; column++) {
        if (!(round && beyond(column - x, row - y, reach))) taken[row * columns + column] = 1;
      }
    }
  }
}

const beyond = (dx, dy, reach) => dx * dx + dy * dy > reach * reach;
