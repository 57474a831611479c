// The panel of the chosen points or area: chart, components, table, evidence.
import { cardTable, nameOf } from "./areas.js";
import { Chart } from "./chart.js";
import { CHOSEN } from "./colour.js";
import { $, counted, h, said } from "./dom.js";
import { evidence, notes } from "./evidence.js";
import { iso } from "./fit.js";
import { areaLines, COMPONENTS, componentLines, fitOfPoint, seriesLines } from "./lines.js";
import { quantile, sample } from "./pick.js";
import { areaColumns, columnsOf, csv, table } from "./table.js";

export const MOST_POINTS = 5;
export const SHOWN = ["fit", "forecast", "foretold"];
const MOST_OF_LASSO = 200;
const AT_ONCE = 12;

const last = (found) => Number(Array.isArray(found) ? found.at(-1) : found);

export class Panel {
  // events: changed(), failed(error), degreesOf(point): [longitude, latitude] or null
  constructor(store, about, events) {
    Object.assign(this, { store, about, events, asked: 0, points: [], area: null, tab: "series", on: new Set(SHOWN) });
    this.chart = new Chart($("chart"));
    this.chart.told = (at) => this.tell(at);
    for (const button of $("tabs").querySelectorAll("[role=tab]")) {
      button.onclick = () => this.turn(button.dataset.tab).catch(events.failed);
      button.onkeydown = (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        const all = [...$("tabs").querySelectorAll("[role=tab]:not([hidden])")];
        if (step) all[(all.indexOf(button) + step + all.length) % all.length].focus();
      };
    }
    $("tab-components").hidden = !Object.keys(COMPONENTS).some((name) => about.series[name]);
  }

  // what is stored of a point beside its series
  async read(point) {
    const { store, about } = this;
    const { point_id: id, ...places } = about.points;
    const value = async (paths, into) => Promise.all(Object.entries(paths ?? {}).map(async ([name, path]) => (into[name] = last(await store.row(path, point.row)))));
    const named = async () => id && (point.id = String(await store.row(id, point.row)));
    // what the chart shows is asked for first, and names, which are the most bytes, last
    await Promise.all([this.more(point), value(about.motion, point.motion), value(places, point.place), value(about.alarms?.paths, point.alarm), value(about.limit?.paths, point.place), named()]);
    point.ready = true;
  }

  // degrees of the points that are on the map; of a large cube some come when somebody looks there
  locate() {
    for (const point of this.points.filter(({ ready, place }) => ready && !("latitude" in place))) {
      const degrees = this.events.degreesOf(point);
      if (degrees) [point.place.longitude, point.place.latitude] = degrees.map((x) => Number(x.toFixed(6)));
    }
  }

  // what the open tab shows besides; read when it is asked for
  async more(point) {
    const { series, forecast, alarms } = this.about;
    const whole = this.tab === "table";
    const wanted = this.tab === "components" ? Object.keys(COMPONENTS) : whole ? Object.keys(series) : ["smooth"].filter((name) => this.on.has(name));
    const reading = wanted.filter((name) => series[name] && !point.series[name]).map(async (name) => {
      point.series[name] = await this.store.numbers(series[name].path, point.row, series[name].packing);
    });
    if (forecast && !point.forecast && (this.on.has("forecast") || whole)) {
      reading.push(this.all(forecast.paths, point.row).then((found) => (point.forecast = found)));
    }
    if (alarms?.foretold && !point.foretold && (this.on.has("foretold") || whole)) {
      reading.push(this.all(alarms.foretold.paths, point.row).then((found) => (point.foretold = found)));
    }
    await Promise.all(reading);
  }

  async all(paths, row) {
    const names = Object.keys(paths);
    const found = await Promise.all(names.map((name) => this.store.numbers(paths[name], row)));
    return Object.fromEntries(names.map((name, i) => [name, found[i]]));
  }

  // the series is drawn as soon as it has come, and the rest when that has
  async choose(row, add) {
    const at = this.points.findIndex((point) => point.row === row);
    if (add && at >= 0) return this.drop(at);
    if (add && this.points.length >= MOST_POINTS) return "Five points are compared already; drop one first.";
    const mine = ++this.asked;
    const point = { row, id: "", series: {}, motion: {}, place: {}, alarm: {}, forecast: null, foretold: null, ready: false };
    const { path, packing } = this.about.series.displacement;
    point.series.displacement = await this.store.numbers(path, row, packing);
    if (mine !== this.asked) return "";
    this.area = null;
    this.points = add ? [...this.points, point] : [point];
    this.render();
    try {
      await this.read(point);
    } finally {
      if (this.points.includes(point)) this.render(false);
    }
    return this.points.includes(point) ? this.spoken(point) : "";
  }

  drop(at) {
    this.points.splice(at, 1);
    this.render();
    return "";
  }

  clear() {
    this.asked += 1;
    this.points = [];
    this.area = null;
    this.render();
  }

  // another panel takes its place; what was asked for and has not come is not shown
  close() {
    this.asked += 1;
    this.points = [];
    this.area = null;
    this.chart.close();
  }

  // rings: where the rows lie; found: an area of the store that they are the outline of; partly: there may be more
  async enclose(rows, rings, found = null, partly = false) {
    const mine = ++this.asked;
    const read = sample(rows, MOST_OF_LASSO);
    const { path, packing, days } = this.about.series.displacement;
    const all = [];
    for (let i = 0; i < read.length; i += AT_ONCE) {
      all.push(...(await Promise.all(read.slice(i, i + AT_ONCE).map((row) => this.store.numbers(path, row, packing)))));
      if (mine !== this.asked) return "";
    }
    const columns = days.map((_, t) => all.map((values) => values[t]).filter((x) => !Number.isNaN(x)).sort((a, b) => a - b));
    const of = (what) => columns.map((column) => (column.length ? what(column) : NaN));
    this.points = [];
    this.area = {
      count: rows.length,
      read: read.length,
      rings,
      found,
      partly,
      mean: of((column) => column.reduce((sum, x) => sum + x, 0) / column.length),
      low: of((column) => quantile(column, 0.1)),
      high: of((column) => quantile(column, 0.9)),
    };
    this.render();
    return `${found ? `Area ${nameOf(found)}, ` : ""}${counted(rows.length)} ${partly ? "of the points on the map" : "points"} inside`;
  }

  async turn(tab) {
    this.tab = tab;
    await Promise.all(this.points.map((point) => this.more(point)));
    this.render();
  }

  async toggle(name, on) {
    on ? this.on.add(name) : this.on.delete(name);
    await Promise.all(this.points.map((point) => this.more(point)));
    this.render(false);
  }

  spoken(point) {
    const { velocity, velocity_std } = point.motion;
    const speed = Number.isFinite(velocity) ? `, ${said(velocity, 1)} plus or minus ${said(velocity_std, 1)} millimetres a year` : "";
    return `Point ${point.id}${speed}`;
  }

  fit(point) {
    return fitOfPoint(this.about, point);
  }

  lines() {
    if (this.area) return areaLines(this.about, this.area);
    return this.tab === "components" ? componentLines(this.about, this.points) : seriesLines(this.about, this.points, this.on);
  }

  render(reset = true) {
    this.locate();
    const any = this.points.length > 0 || this.area !== null;
    $("series").classList.toggle("none", !any);
    if (this.area && this.tab === "components") this.tab = "series";
    for (const button of $("tabs").querySelectorAll("[role=tab]")) {
      const on = button.dataset.tab === this.tab;
      button.setAttribute("aria-selected", String(on));
      button.tabIndex = on ? 0 : -1;
      button.disabled = this.area !== null && button.dataset.tab === "components";
      if (on) $("panel").setAttribute("aria-labelledby", button.id);
    }
    $("chosen").replaceChildren(...this.chips());
    $("toggles").replaceChildren(...this.toggles());
    const whole = this.tab === "table";
    $("tablebox").hidden = !whole;
    $("chart").hidden = whole;
    $("cursor").hidden = whole;
    if (any && whole) $("tablebox").replaceChildren(table(this.area ? areaColumns(this.about, this.area) : columnsOf(this.about, this.points)));
    if (any && !whole) this.draw(reset);
    this.tell(null);
    const known = this.points.length ? [evidence(this.about, this.points)] : this.area?.found ? [cardTable(this.area.found)] : [];
    $("evidence").replaceChildren(...known);
    $("notes").textContent = this.points.length ? notes(this.about, this.tab === "series" ? this.on : new Set(), this.points) : "";
    this.events.changed();
  }

  draw(reset) {
    const drawn = this.lines();
    const { forecast, series } = this.about;
    const foretold = this.tab === "series" && drawn.some((line) => line.label.startsWith("Forecast"));
    const origin = foretold ? (forecast.origin ?? series.displacement.days.at(-1)) : null;
    this.chart.show(drawn, { origin, unit: "mm", reset, hold: this.on.has("hold") });
  }

  chips() {
    const chip = (colour, text, label, gone) => h("span", { class: "chip" }, h("i", { colour }), text, h("button", { type: "button", "aria-label": label, onclick: gone }, "×"));
    if (this.area) {
      const { count, read, found, partly } = this.area;
      const inside = `${counted(count)} ${partly ? "of the points on the map" : "points"} inside` + (read < count ? `; ${read} of them read, evenly` : "");
      return [chip(CHOSEN[0], found ? `${nameOf(found)}: ${inside}` : inside, "let go of the area", () => this.clear())];
    }
    const many = this.points.length > 1;
    return this.points.map((point, i) => chip(CHOSEN[i], many ? `${i + 1}  ${point.id || "…"}` : `Point ${point.id || "…"}`, `let go of point ${point.id}`, () => this.drop(i)));
  }

  toggles() {
    if (this.tab === "table") return [];
    const { series, motion, forecast, alarms } = this.about;
    const lines = this.area || this.tab === "components" ? {} : { fit: motion?.phase && "Fit", smooth: series.smooth && "Smoothed", foretold: alarms?.foretold && "Foretold", forecast: forecast && "Forecast", difference: this.points.length === 2 && "1 − 2" };
    return Object.entries({ ...lines, hold: "Hold y" }).filter(([, label]) => label).map(([name, label]) =>
      h("label", name === "hold" ? { title: "keep the same vertical axis while other points are chosen" } : {}, h("input", { type: "checkbox", checked: this.on.has(name), onchange: (event) => this.toggle(name, event.target.checked).catch(this.events.failed) }), label));
  }

  // what lies under the cursor
  tell(at) {
    const { lines, data } = this.chart;
    if (at === null || at === undefined || !data) {
      $("cursor").textContent = this.legend();
      return;
    }
    const words = lines.map((line, i) => [line.label, data[i + 1][at]]).filter(([, value]) => Number.isFinite(value));
    $("cursor").textContent = `${iso(data[0][at] / 86400)}   ${words.map(([label, value]) => `${label} ${said(value, 1)}`).join("   ")}`;
  }

  legend() {
    if (this.area) return "Mean of the points inside, and the band from their 10th to 90th percentile.";
    if (this.points.length && this.points.every((point) => point.series.displacement.every(Number.isNaN))) return "No date has a value here.";
    if (this.tab === "components") return this.parts();
    return "Move over the chart for dates and values; drag to zoom, double-click for all dates.";
  }

  parts() {
    const names = Object.keys(COMPONENTS).filter((name) => this.about.series[name]);
    const looks = this.points.length === 1 ? { trend: "Blue", season: "Green", residual: "Grey" } : { trend: "Solid", season: "Dashed", residual: "Dotted" };
    const all = names.length === 3 ? " They sum to the series that was taken apart." : "";
    return `${names.map((name) => `${looks[name]}: ${name}.`).join(" ")}${all}`;
  }

  // of all that is stored, not of the open tab alone
  async csv() {
    const before = this.tab;
    this.tab = "table";
    try {
      await Promise.all(this.points.map((point) => this.more(point)));
    } finally {
      this.tab = before;
    }
    return csv(this.about, this.points, this.area);
  }
}
