// What is drawn over the points: chosen ones, a lasso, outlines of areas.
export function paint(context, map) {
  context.setTransform(map.ratio, 0, 0, map.ratio, 0, 0);
  if (map.areasShown) paintAreas(context, map);
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
