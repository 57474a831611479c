// The panel of the chosen points: chart, components, table, evidence.
import { Chart } from "./chart.js";
import { CHOSEN } from "./colour.js";
import { $, counted, h, said } from "./dom.js";
import { fitOf, iso } from "./fit.js";
import { quantile, sample } from "./pick.js";

export const MOST_POINTS = 5;
export const SHOWN = ["fit", "forecast"];
const MOST_OF_LASSO = 200;
const COMPONENTS = { trend: "#0072b2", season: "#009e73", residual: "#8a8f98" };

export class Panel {
  constructor(store, about, changed, failed) {
    this.store = store;
    this.about = about;
    this.changed = changed;
    this.failed = failed;
    this.asked = 0;
    this.points = [];
    this.area = null;
    this.tab = "series";
    this.on = new Set(SHOWN);
    this.chart = new Chart($("chart"));
    this.chart.told = (at) => this.tell(at);
    for (const button of $("tabs").querySelectorAll("[role=tab]")) {
      button.onclick = () => this.turn(button.dataset.tab).catch(this.failed);
      button.onkeydown = (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        const all = [...$("tabs").querySelectorAll("[role=tab]:not([hidden])")];
        if (step) all[(all.indexOf(button) + step + all.length) % all.length].focus();
      };
    }
    $("tab-components").hidden = !Object.keys(COMPONENTS).some((name) => about.series[name]);
  }

  // what is stored of a row; the chart is drawn before the evidence has come
  async read(row) {
    const { store, about } = this;
    const observed = about.series.displacement;
    const point = { row, id: "", series: {}, motion: {}, place: {}, forecast: null };
    const words = Object.entries(about.points).map(async ([name, path]) => {
      const value = await store.row(path, row);
      if (name === "point_id") point.id = String(value);
      else point.place[name] = Number(value);
    });
    const motion = Object.entries(about.motion ?? {}).map(async ([name, path]) => {
      point.motion[name] = Number(await store.row(path, row));
    });
    const rest = Promise.all([...words, ...motion]);
    rest.catch(() => {});
    point.series.displacement = await store.numbers(observed.path, row, observed.packing);
    await rest;
    return point;
  }

  // what the open tab shows besides; read when it is asked for
  async more(point) {
    const wanted = this.tab === "components" ? Object.keys(COMPONENTS) : this.tab === "table" ? Object.keys(this.about.series) : ["smooth"].filter((n) => this.on.has(n));
    await Promise.all(
      wanted
        .filter((name) => this.about.series[name] && !point.series[name])
        .map(async (name) => {
          const { path, packing } = this.about.series[name];
          point.series[name] = await this.store.numbers(path, point.row, packing);
        }),
    );
    const forecast = this.about.forecast;
    if (forecast && !point.forecast && (this.on.has("forecast") || this.tab === "table")) {
      const found = await Promise.all(Object.values(forecast.paths).map((path) => this.store.numbers(path, point.row)));
      point.forecast = Object.fromEntries(Object.keys(forecast.paths).map((name, i) => [name, found[i]]));
    }
  }

  async choose(row, add) {
    const at = this.points.findIndex((point) => point.row === row);
    if (add && at >= 0) return this.drop(at);
    if (add && this.points.length >= MOST_POINTS) return `Five points are compared already; drop one first.`;
    const mine = ++this.asked;
    const point = await this.read(row);
    await this.more(point);
    if (mine !== this.asked) return "";
    this.area = null;
    this.points = add ? [...this.points, point] : [point];
    this.render();
    return this.spoken(point);
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
    this.chart.close();
  }

  async enclose(rows, outline) {
    const mine = ++this.asked;
    const read = sample(rows, MOST_OF_LASSO);
    const { path, packing, days } = this.about.series.displacement;
    const all = [];
    for (let i = 0; i < read.length; i += 12) all.push(...(await Promise.all(read.slice(i, i + 12).map((row) => this.store.numbers(path, row, packing)))));
    if (mine !== this.asked) return "";
    const columns = days.map((_, t) => all.map((values) => values[t]).filter((x) => !Number.isNaN(x)).sort((a, b) => a - b));
    this.points = [];
    this.area = {
      count: rows.length,
      read: read.length,
      outline,
      mean: columns.map((c) => (c.length ? c.reduce((sum, x) => sum + x, 0) / c.length : NaN)),
      low: columns.map((c) => (c.length ? quantile(c, 0.1) : NaN)),
      high: columns.map((c) => (c.length ? quantile(c, 0.9) : NaN)),
    };
    this.render();
    return `${counted(rows.length)} points inside`;
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
    const { days } = this.about.series.displacement;
    return this.about.motion ? fitOf(point.motion, days, point.series.displacement, days) : null;
  }

  lines() {
    const { series, forecast } = this.about;
    const days = series.displacement.days;
    if (this.area) {
      const { mean, low, high } = this.area;
      const colour = CHOSEN[0];
      return [
        { label: "90th percentile", days, values: high, colour: `${colour}77`, width: 1 },
        { label: "10th percentile", days, values: low, colour: `${colour}77`, width: 1, band: 0, fill: `${colour}2e` },
        { label: "Mean", days, values: mean, colour, width: 2 },
      ];
    }
    const one = this.points.length === 1;
    const lines = [];
    this.points.forEach((point, i) => {
      const colour = CHOSEN[i];
      const mark = one ? "" : ` ${i + 1}`;
      if (this.tab === "components") {
        for (const [name, ink] of Object.entries(COMPONENTS)) {
          if (point.series[name]) lines.push({ label: series[name].label + mark, days: series[name].days, values: point.series[name], colour: one ? ink : colour, dash: one || name === "trend" ? undefined : name === "season" ? [6, 4] : [2, 3] });
        }
        return;
      }
      const { observed } = series.displacement;
      const dots = (real) => point.series.displacement.map((x, t) => (!observed || Boolean(observed[t]) === real ? x : NaN));
      lines.push({ label: `Observed${mark}`, days, values: dots(true), colour: one ? "#7f8794" : colour, dots: true });
      if (observed?.includes(0)) lines.push({ label: `Made up${mark}`, days, values: dots(false), colour: one ? "#7f8794" : colour, dots: true, hollow: true });
      const fit = this.on.has("fit") ? this.fit(point) : null;
      if (fit) lines.push({ label: `Fit${mark}`, days, values: fit, colour, width: 2 });
      if (point.series.smooth && this.on.has("smooth")) lines.push({ label: `Smoothed${mark}`, days: series.smooth.days, values: point.series.smooth, colour: one ? "#009e73" : colour, width: 1.4, dash: [5, 4] });
      if (point.forecast && this.on.has("forecast")) {
        const ink = one ? "#d55e00" : colour;
        if (point.forecast.lower && point.forecast.upper) {
          const at = lines.length;
          lines.push({ label: `Upper${mark}`, days: forecast.days, values: point.forecast.upper, colour: `${ink}66`, width: 1 });
          lines.push({ label: `Lower${mark}`, days: forecast.days, values: point.forecast.lower, colour: `${ink}66`, width: 1, band: at, fill: `${ink}33` });
        }
        lines.push({ label: `Forecast${mark}`, days: forecast.days, values: point.forecast.displacement, colour: ink, width: 2.2 });
      }
    });
    if (this.points.length === 2 && this.tab === "series" && this.on.has("difference")) {
      const [a, b] = this.points.map((point) => point.series.displacement);
      lines.push({ label: "1 − 2", days, values: a.map((x, t) => x - b[t]), colour: CHOSEN[4], width: 1.3 });
    }
    return lines;
  }

  render(reset = true) {
    const any = this.points.length > 0 || this.area !== null;
    $("series").classList.toggle("none", !any);
    if (this.area && this.tab !== "series") this.tab = "series";
    for (const button of $("tabs").querySelectorAll("[role=tab]")) {
      const on = button.dataset.tab === this.tab;
      button.setAttribute("aria-selected", String(on));
      button.tabIndex = on ? 0 : -1;
      button.disabled = this.area !== null && button.dataset.tab !== "series";
      if (on) $("panel").setAttribute("aria-labelledby", button.id);
    }
    $("chosen").replaceChildren(...this.chips());
    $("toggles").replaceChildren(...this.toggles());
    const table = this.tab === "table";
    $("tablebox").hidden = !table;
    $("chart").hidden = table;
    $("cursor").hidden = table;
    if (any && table) $("tablebox").replaceChildren(this.table());
    if (any && !table) {
      const drawn = this.lines();
      const last = this.about.series.displacement.days.at(-1);
      const origin = this.tab === "series" && drawn.some((line) => line.label.startsWith("Forecast")) ? last : null;
      this.chart.show(drawn, { origin, unit: "mm", reset });
    }
    this.tell(null);
    $("evidence").replaceChildren(...(this.points.length ? [this.evidence()] : []));
    $("notes").replaceChildren(this.notes());
    this.changed();
  }

  chips() {
    if (this.area) {
      const { count, read } = this.area;
      const text = `${counted(count)} points inside` + (read < count ? `; ${read} of them read, evenly` : "");
      return [h("span", { class: "chip" }, h("i", { colour: CHOSEN[0] }), text, h("button", { type: "button", "aria-label": "let go of the area", onclick: () => this.clear() }, "×"))];
    }
    return this.points.map((point, i) =>
      h("span", { class: "chip" }, h("i", { colour: CHOSEN[i] }), this.points.length > 1 ? `${i + 1}  ${point.id}` : `Point ${point.id}`,
        h("button", { type: "button", "aria-label": `let go of point ${point.id}`, onclick: () => this.drop(i) }, "×")),
    );
  }

  toggles() {
    if (this.area || this.tab !== "series") return [];
    const { series, motion, forecast } = this.about;
    const two = this.points.length === 2;
    const names = { fit: motion?.phase && "Fit", smooth: series.smooth && "Smoothed", forecast: forecast && "Forecast", difference: two && "1 − 2" };
    return Object.entries(names).filter(([, label]) => label).map(([name, label]) =>
      h("label", {}, h("input", { type: "checkbox", checked: this.on.has(name), onchange: (event) => this.toggle(name, event.target.checked).catch(this.failed) }), label));
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
    if (this.tab === "components") return this.points.length === 1 ? "Blue: trend. Green: season. Grey: residual. They sum to the series that was taken apart." : "Solid: trend. Dashed: season. Dotted: residual.";
    return "Move over the chart for dates and values; drag to zoom, double-click for all dates.";
  }

  evidence() {
    const { motion } = this.about;
    const rows = [
      ["Velocity", "mm/yr", (p) => [p.motion.velocity, p.motion.velocity_std, 2]],
      ["Acceleration", "mm/yr²", (p) => [p.motion.acceleration, p.motion.acceleration_std, 2]],
      ["Annual amplitude", "mm", (p) => [p.motion.seasonality, p.motion.seasonality_std, 2]],
      ["RMSE of the model", "mm", (p) => [p.motion.rmse, NaN, 2]],
      ["Coherence", "", (p) => [p.place.coherence, NaN, 2]],
      ["Valid dates", "", (p) => [p.motion.n_dates ?? p.series.displacement.filter((x) => !Number.isNaN(x)).length, NaN, 0]],
      ["Height", "m", (p) => [p.place.height, NaN, 1]],
    ].filter(([, , of]) => this.points.some((p) => Number.isFinite(of(p)[0])));
    const cell = ([value, error, places]) => h("td", {}, said(value, places), Number.isFinite(error) ? h("small", {}, ` ± ${said(error, places)}`) : "");
    const last = this.about.forecast && this.points.some((p) => p.forecast);
    const head = this.points.length > 1 ? [h("thead", {}, h("tr", {}, h("th", {}), ...this.points.map((p, i) => h("th", {}, h("i", { colour: CHOSEN[i] }), String(i + 1)))))] : [];
    return h("table", { "aria-label": "Evidence of the chosen points" }, ...head, h("tbody", {},
      ...rows.map(([label, unit, of]) => h("tr", {}, h("th", { scope: "row" }, label, unit ? h("small", {}, ` ${unit}`) : ""), ...this.points.map((p) => cell(of(p))))),
      ...(last ? [h("tr", {}, h("th", { scope: "row" }, `Forecast for ${iso(this.about.forecast.days.at(-1))}`, h("small", {}, " mm")), ...this.points.map((p) => {
        if (!p.forecast) return h("td", {}, "none");
        const at = this.about.forecast.days.length - 1;
        const { displacement, lower, upper } = p.forecast;
        return h("td", {}, said(displacement[at], 1), lower && upper ? h("small", {}, ` (${said(lower[at], 1)} to ${said(upper[at], 1)})`) : "");
      }))] : []),
      ...(motion ? [] : [h("tr", {}, h("th", { scope: "row" }, "Motion parameters"), h("td", {}, "not stored"))])));
  }

  notes() {
    const { scores, forecast } = this.about;
    const words = [];
    if (this.points.length && this.about.motion?.phase && this.tab === "series" && this.on.has("fit")) words.push("Fit: stored velocity and annual signal, with the level at which residuals average zero. Errors are those of white noise.");
    if (forecast && this.points.length) {
      words.push(`Forecast by ${(forecast.method || "a trained forecaster").replaceAll("_", " ")}${forecast.level ? ` with its ${Math.round(forecast.level * 100)} % interval` : ""}.`);
      if (scores && scores.method === forecast.method) {
        words.push(`Over past origins its RMSE was ${said(scores.rmse)} mm${scores.persistence ? ` (the last value kept: ${said(scores.persistence)})` : ""}` +
          (scores.coverage ? `, and ${Math.round(scores.coverage * 100)} % of what came lay inside the interval.` : "."));
      }
    }
    return document.createTextNode(words.join(" "));
  }

  table() {
    const { series } = this.about;
    const columns = this.points.flatMap((point, i) => {
      const mark = this.points.length > 1 ? ` ${i + 1}` : "";
      const fit = this.fit(point);
      const found = Object.keys(series).filter((name) => point.series[name]).map((name) => ({ label: series[name].label + mark, days: series[name].days, values: point.series[name] }));
      if (fit) found.splice(1, 0, { label: `Fit${mark}`, days: series.displacement.days, values: fit });
      if (point.forecast) for (const [name, label] of [["displacement", "Forecast"], ["lower", "Lower"], ["upper", "Upper"]]) if (point.forecast[name]) found.push({ label: label + mark, days: this.about.forecast.days, values: point.forecast[name] });
      return found;
    });
    this.columns = columns.map((column) => ({ ...column, at: new Map(column.days.map((day, i) => [day, column.values[i]])) }));
    const days = [...new Set(columns.flatMap((column) => column.days))].sort((a, b) => a - b);
    this.rows = days;
    return h("table", {}, h("thead", {}, h("tr", {}, h("th", {}, "Date"), ...columns.map((column) => h("th", {}, column.label)))),
      h("tbody", {}, ...days.map((day) => h("tr", {}, h("th", { scope: "row" }, iso(day)), ...this.columns.map((column) => h("td", {}, column.at.has(day) ? said(column.at.get(day), 1) : ""))))));
  }

  // everything of the chosen points as text: values as stored, empty where missing
  async csv() {
    const before = this.tab;
    this.tab = "table";
    await Promise.all(this.points.map((point) => this.more(point)));
    this.tab = before;
    const { about } = this;
    const lines = [`# ${about.name}`, ...Object.entries(about.said).map(([name, value]) => `# ${name}: ${value}`), `# crs: EPSG:${about.crs.epsg ?? "unknown"}`, "# units: mm"];
    if (this.area) {
      lines.push(`# ${this.area.count} points inside an outline, ${this.area.read} of them read`, "date,mean,percentile_10,percentile_90");
      about.series.displacement.days.forEach((day, i) => lines.push([iso(day), ...[this.area.mean, this.area.low, this.area.high].map((values) => number(values[i]))].join(",")));
      return `${lines.join("\n")}\n`;
    }
    this.points.forEach((point, i) => {
      const words = [...Object.entries(point.place), ...Object.entries(point.motion)].map(([name, value]) => `${name}=${number(value)}`);
      lines.push(`# point ${i + 1}: ${point.id} ${words.join(" ")}`);
    });
    if (about.forecast) lines.push(`# forecast: ${about.forecast.method}, interval ${about.forecast.level ?? "none"}`);
    this.table();
    lines.push(["date", ...this.columns.map((column) => column.label.toLowerCase().replaceAll(" ", "_"))].join(","));
    for (const day of this.rows) lines.push([iso(day), ...this.columns.map((column) => (column.at.has(day) ? number(column.at.get(day)) : ""))].join(","));
    return `${lines.join("\n")}\n`;
  }
}

// at most as exact as float32
const number = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(7))) : "");
