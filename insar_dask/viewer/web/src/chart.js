// Series of the chosen points: what was observed, the fit of the stored coefficients, components and forecast.
import uPlot from "uplot";
import { DAY, iso } from "./fit.js";

// all lines on the union of their dates; null where a value is missing, undefined at the dates of others
export function joined(lines) {
  const days = [...new Set(lines.flatMap((line) => line.days))].sort((a, b) => a - b);
  const place = new Map(days.map((day, i) => [day, i]));
  const columns = lines.map((line) => {
    const column = new Array(days.length).fill(undefined);
    line.days.forEach((day, i) => (column[place.get(day)] = Number.isFinite(line.values[i]) ? line.values[i] : null));
    return column;
  });
  return [days.map((day) => day * DAY), ...columns];
}

const theme = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

// lines: {label, days, values, colour, dots, width, dash, band (index of the line to fill to)}
export class Chart {
  constructor(place) {
    this.place = place;
    this.plot = null;
    this.observer = new ResizeObserver(() => this.resize());
    this.observer.observe(place);
  }

  size() {
    return { width: Math.max(this.place.clientWidth, 200), height: Math.max(this.place.clientHeight, 160) };
  }

  // the dates that somebody has zoomed to; null where all are shown
  zoomed() {
    if (!this.plot) return null;
    const { min, max } = this.plot.scales.x;
    const days = this.data[0];
    return min > days[0] || max < days.at(-1) ? { min, max } : null;
  }

  resize() {
    if (this.plot) this.plot.setSize(this.size());
  }

  // hold: the vertical axis stays as it was, and grows where a line leaves it
  show(lines, { origin = null, unit = "mm", reset = true, hold = false } = {}) {
    const kept = reset ? null : this.zoomed();
    this.plot?.destroy();
    this.plot = null;
    this.lines = lines;
    this.held = hold && lines.length ? reach(lines, this.held) : null;
    if (!lines.length) return;
    const axis = { stroke: theme("--ink"), grid: { stroke: theme("--line"), width: 1 }, ticks: { stroke: theme("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
    const options = {
      ...this.size(),
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      legend: { show: false },
      cursor: { drag: { x: true, y: false }, points: { size: 7 } },
      scales: { x: { time: true, ...(few(lines) ? { range: around(lines) } : {}) }, y: { range: this.held ?? ((plot, low, high) => level(low, high) ?? uPlot.rangeNum(low, high, 0.1, true)) } },
      axes: [
        { ...axis, space: 64, values: dates },
        { ...axis, values: (_, splits) => splits.map((x) => String(x).replace("-", "−")), label: unit, labelSize: 18, labelFont: "12px system-ui, sans-serif", size: 46 },
      ],
      series: [{}, ...lines.map(serie)],
      bands: lines.flatMap((line, i) => (line.band === undefined ? [] : [{ series: [line.band + 1, i + 1], fill: line.fill }])),
      hooks: { draw: [(plot) => originLine(plot, origin)], setCursor: [(plot) => this.told?.(plot.cursor.idx)] },
    };
    this.data = joined(lines);
    this.plot = new uPlot(options, this.data, this.place);
    if (kept) this.plot.setScale("x", kept);
  }

  close() {
    this.observer.disconnect();
    this.show([]);
  }
}

const APART = 12 * DAY;

// whether so few dates are drawn that those at the ends would lie on the frame
const few = (lines) => new Set(lines.flatMap((line) => line.days)).size < 5;

function around(lines) {
  const days = lines.flatMap((line) => line.days);
  return [Math.min(...days) * DAY - APART, Math.max(...days) * DAY + APART];
}

// about values that are all the same, or none; else null
function level(low, high) {
  if (low === null || high === null) return [-1, 1];
  return low === high ? [low - 1, high + 1] : null;
}

// least and most of all values and of a range before
function reach(lines, before) {
  const [low, high] = before ?? [Infinity, -Infinity];
  const known = lines.flatMap((line) => line.values).filter(Number.isFinite);
  const [least, most] = known.reduce(([a, b], x) => [Math.min(a, x), Math.max(b, x)], [Infinity, -Infinity]);
  const margin = known.length ? 0.04 * Math.max(most - least, 1) : 0;
  const found = [Math.min(low, least - margin), Math.max(high, most + margin)];
  return found[0] < found[1] ? found : null;
}

function dates(plot, splits, axis, space, step) {
  return splits.map((seconds) => (step >= 360 * DAY ? iso(seconds / DAY).slice(0, 4) : step >= 27 * DAY ? iso(seconds / DAY).slice(0, 7) : iso(seconds / DAY)));
}

function serie(line) {
  if (line.dots) {
    return {
      label: line.label,
      stroke: line.colour,
      width: 0,
      paths: () => null,
      points: { show: true, size: line.hollow ? 5 : 4.5, width: line.hollow ? 1.2 : 0, stroke: line.colour, fill: line.hollow ? theme("--panel") : line.colour },
    };
  }
  return { label: line.label, stroke: line.colour, width: line.width ?? 1.8, dash: line.dash, points: { show: false }, spanGaps: false };
}

function originLine(plot, origin) {
  if (origin === null) return;
  const x = plot.valToPos(origin * DAY, "x", true);
  const { left, top, width, height } = plot.bbox;
  if (x < left || x > left + width) return;
  const context = plot.ctx;
  const ratio = devicePixelRatio || 1;
  context.save();
  context.strokeStyle = theme("--faint");
  context.setLineDash([3 * ratio, 3 * ratio]);
  context.lineWidth = ratio;
  context.beginPath();
  context.moveTo(x, top);
  context.lineTo(x, top + height);
  context.stroke();
  context.fillStyle = theme("--faint");
  context.font = `${11 * ratio}px system-ui, sans-serif`;
  context.textAlign = "right";
  context.fillText("last date known", x - 4 * ratio, top + 12 * ratio);
  context.restore();
}
