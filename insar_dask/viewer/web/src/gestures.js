// Pointer, wheel and pinch on a map: pan, zoom, click, hover, lasso.
export function gestures(map) {
  const down = new Map();
  let began = null;
  const at = (event) => {
    const box = map.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const target = map.overlay;
  target.addEventListener("pointerdown", (event) => {
    target.setPointerCapture(event.pointerId);
    down.set(event.pointerId, at(event));
    began = { at: at(event), moved: false, shift: event.shiftKey };
    if (map.lassoing) map.path = [map.toPlace(...at(event))];
  });
  target.addEventListener("pointermove", (event) => {
    const now = at(event);
    if (!down.has(event.pointerId)) return map.events.hover(now);
    const before = down.get(event.pointerId);
    down.set(event.pointerId, now);
    if (began && Math.hypot(now[0] - began.at[0], now[1] - began.at[1]) > 4) began.moved = true;
    if (map.path) {
      if (Math.hypot(now[0] - before[0], now[1] - before[1]) > 0) map.path.push(map.toPlace(...now));
      map.drawOverlay();
    } else if (down.size === 2) {
      const other = [...down].find(([id]) => id !== event.pointerId)[1];
      const spread = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]) || 1;
      map.zoom(spread(before) / spread(now), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    } else if (began?.moved) {
      map.pan(now[0] - before[0], now[1] - before[1]);
    }
  });
  const end = (event) => {
    if (!down.delete(event.pointerId)) return;
    if (map.path) {
      const polygon = map.path;
      map.path = null;
      if (polygon.length > 2 && event.type === "pointerup") map.events.lasso(polygon);
      map.drawOverlay();
    } else if (event.type === "pointerup" && began && !began.moved && down.size === 0) {
      map.events.click(began.at, began.shift || event.shiftKey);
    }
    if (down.size === 0) began = null;
  };
  target.addEventListener("pointerup", end);
  target.addEventListener("pointercancel", end);
  target.addEventListener("pointerleave", () => map.events.hover(null));
  target.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      map.zoom(Math.exp(Math.min(Math.max(event.deltaY * lines, -400), 400) * 0.0018), ...at(event));
    },
    { passive: false },
  );
  target.addEventListener("dblclick", (event) => map.zoom(0.5, ...at(event)));
}
