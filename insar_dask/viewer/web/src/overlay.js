// What is drawn over the points: chosen ones, a lasso, outlines of areas, rings about alarms.
export function paint(context, map) {
  context.setTransform(map.ratio, 0, 0, map.ratio, 0, 0);
  if (map.areasShown) paintAreas(context, map);
  if (map.alarmsShown) paintAlarms(context, map);
  for (const { east, north, colour, label } of map.marks) {
    const [x, y] = map.toPixel(east, north);
    for (const [width, ink] of [[5, "#fff"], [2.5, colour]]) {
      context.beginPath();
      context.arc(x, y, 9, 0, 7);
      context.lineWidth = width;
      context.strokeStyle = ink;
      context.stroke();
    }
    context.beginPath();
    context.arc(x + 12, y - 12, 8, 0, 7);
    context.fillStyle = colour;
    context.fill();
    context.fillStyle = "#fff";
    context.font = "bold 11px system-ui, sans-serif";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(label, x + 12, y - 11.5);
  }
  for (const rings of [map.path && [map.path], map.outline]) {
    if (!rings) continue;
    trace(context, map, rings);
    context.fillStyle = "rgba(255, 255, 255, 0.14)";
    context.fill("evenodd");
    context.lineWidth = 3;
    context.strokeStyle = "#111";
    context.stroke();
    context.lineWidth = 1.5;
    context.strokeStyle = "#fff";
    context.stroke();
  }
}

function trace(context, map, rings) {
  context.beginPath();
  for (const ring of rings) {
    ring.forEach(([east, north], i) => context[i ? "lineTo" : "moveTo"](...map.toPixel(east, north)));
    context.closePath();
  }
}

// outlines of areas, dark on light, so that they are seen on any colour
function paintAreas(context, map) {
  const [west, south, east, north] = map.bounds();
  for (const { rings, box } of map.areas) {
    if (box[0] > east || box[2] < west || box[1] > north || box[3] < south) continue;
    trace(context, map, rings);
    for (const [width, ink] of [[3.5, "rgba(255, 255, 255, 0.85)"], [1.6, "#141414"]]) {
      context.lineWidth = width;
      context.strokeStyle = ink;
      context.stroke();
    }
  }
}

const APART = 4; // pixels within which rings would lie on one another: one is drawn

// numbers of a chunk's points that are alarms; looked for once
function alarmed(chunk) {
  const { alarm } = chunk.values;
  if (!alarm) return [];
  chunk.alarmed ??= Uint32Array.from(alarm.keys()).filter((i) => alarm[i] === 1);
  return chunk.alarmed;
}

function paintAlarms(context, map) {
  const [west, south, east, north] = map.bounds();
  const radius = Math.max(map.pointSize() / map.ratio / 2 + 3.5, 5);
  const drawn = new Set();
  const places = [];
  for (const chunk of map.chunks) {
    for (const i of alarmed(chunk)) {
      if (!chunk.shown[i] || chunk.east[i] < west || chunk.east[i] > east || chunk.north[i] < south || chunk.north[i] > north) continue;
      const [x, y] = map.toPixel(chunk.east[i], chunk.north[i]);
      const place = Math.round(x / APART) * 65536 + Math.round(y / APART);
      if (drawn.has(place)) continue;
      drawn.add(place);
      places.push([x, y]);
    }
  }
  map.rings = places.length;
  if (places.length) stampRings(context, map.ratio, radius, places);
}

// each a copy of one ring: a thousand strokes take ten times as long
function stampRings(context, ratio, radius, places) {
  const half = Math.ceil((radius + 2) * ratio);
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  for (const [width, ink] of [[3.6, "rgba(255, 255, 255, 0.9)"], [1.7, "#141414"]]) {
    const ring = document.createElement("canvas");
    ring.width = ring.height = 2 * half;
    const inside = ring.getContext("2d", { willReadFrequently: true });
    inside.arc(half, half, radius * ratio, 0, 2 * Math.PI);
    inside.lineWidth = width * ratio;
    inside.strokeStyle = ink;
    inside.stroke();
    for (const [x, y] of places) context.drawImage(ring, Math.round(x * ratio) - half, Math.round(y * ratio) - half);
  }
  context.restore();
}
