// Images behind the points, where the page was told of some: tiles of the web's own projection, never bent.
const EDGE = 256;
const HALF_WORLD = 20037508.342789244;
const FINEST = 19;
const KEPT = 256;

export const MERCATOR = 3857;

// the tiles that meet a view: [zoom, column, row, west, north, side], in metres
export function tilesOf([west, south, east, north], metresPerPixel) {
  const zoom = Math.min(Math.max(Math.round(Math.log2((2 * HALF_WORLD) / EDGE / metresPerPixel)), 0), FINEST);
  const side = (2 * HALF_WORLD) / 2 ** zoom;
  const at = (x) => Math.min(Math.max(Math.floor((x + HALF_WORLD) / side), 0), 2 ** zoom - 1);
  const down = (y) => Math.min(Math.max(Math.floor((HALF_WORLD - y) / side), 0), 2 ** zoom - 1);
  const found = [];
  for (let row = down(north); row <= down(south); row++) {
    for (let column = at(west); column <= at(east); column++) {
      found.push([zoom, column, row, column * side - HALF_WORLD, HALF_WORLD - row * side, side]);
    }
  }
  return found;
}

export class Background {
  constructor(address, redraw, failed) {
    this.address = address;
    this.redraw = redraw;
    this.failed = failed;
    this.images = new Map();
  }

  image(zoom, column, row) {
    const key = `${zoom}/${column}/${row}`;
    let found = this.images.get(key);
    if (!found) {
      found = new Image();
      found.crossOrigin = "anonymous"; // else the map could not be saved
      found.referrerPolicy = "no-referrer";
      found.onload = this.redraw;
      found.onerror = () => this.failed(found.src);
      found.src = this.address.replace("{z}", zoom).replace("{x}", column).replace("{y}", row);
    }
    this.images.delete(key);
    this.images.set(key, found);
    while (this.images.size > KEPT) this.images.delete(this.images.keys().next().value);
    return found;
  }

  // into a canvas under the points
  draw(map) {
    const context = map.ground.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, map.ground.width, map.ground.height);
    const [x, y] = map.offset;
    const box = map.bounds().map((value, i) => value / 10 + (i % 2 ? y : x));
    const across = map.view[2] / 10;
    const scale = map.ratio / across;
    for (const [zoom, column, row, west, north, side] of tilesOf(box, across)) {
      const image = this.image(zoom, column, row);
      if (!image.complete || !image.naturalWidth) continue;
      const [left, top] = [Math.round((west - box[0]) * scale), Math.round((box[3] - north) * scale)];
      const [right, bottom] = [Math.round((west + side - box[0]) * scale), Math.round((box[3] - north + side) * scale)];
      context.drawImage(image, left, top, right - left, bottom - top);
    }
  }
}
