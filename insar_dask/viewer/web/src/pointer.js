// What hovers over the map is told, and keys move it.
import { lassoMode, metres, near, pick } from "./choice.js";
import { degreesAt, saidDegrees } from "./degrees.js";
import { $, counted, digits, said } from "./dom.js";
import { page, shownVariable } from "./page.js";

export function hover(at) {
  const { map, about } = page;
  const tip = $("tip");
  if (!at || !about || map.moving) {
    tip.hidden = true;
    $("place").textContent = "";
    return;
  }
  const place = metres(map.toPlace(...at));
  const degrees = degreesAt(about.degrees, ...place);
  $("place").textContent = `E ${counted(Math.round(place[0]))}  N ${counted(Math.round(place[1]))} m${degrees ? `   ${saidDegrees(degrees)}` : ""}`;
  clearTimeout(page.hovering);
  page.hovering = setTimeout(() => {
    const found = near(at, 8);
    tip.hidden = !found;
    if (!found) return;
    const spec = shownVariable();
    const stored = found.chunk.values[page.variable]?.[found.i];
    const none = spec.kind === "class" ? stored < 0 : stored === about.missing;
    tip.textContent = none ? "no value" : spec.kind === "class" ? `pattern ${stored}` : `${said(stored * spec.step, digits(spec.step))} ${spec.units}`;
    const [x, y] = map.toPixel(found.chunk.east[found.i], found.chunk.north[found.i]);
    tip.style.left = `${Math.min(Math.max(x + 12, 4), map.width - tip.offsetWidth - 4)}px`;
    tip.style.top = `${Math.max(y - 32, 4)}px`;
  }, 20);
}

// home: shows all points
export function keys(event, home) {
  const { map } = page;
  const arrows = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (arrows[event.key]) map.pan(...arrows[event.key]);
  else if (event.key === "+" || event.key === "=") map.zoom(0.7);
  else if (event.key === "-") map.zoom(1 / 0.7);
  else if (event.key === "Home") home();
  else if (event.key === "Enter" || event.key === " ") {
    const found = near([map.width / 2, map.height / 2], Math.max(map.width, map.height));
    if (found) pick(map.toPixel(found.chunk.east[found.i], found.chunk.north[found.i]), event.shiftKey);
  } else if (event.key.toLowerCase() === "l") lassoMode(!map.lassoing);
  else if (event.key === "Escape") map.lassoing ? lassoMode(false) : page.panel.clear();
  else return;
  event.preventDefault();
}
