// Points by WebGL2, drawn when something has changed and not otherwise.
import { table } from "./colour.js";
import { uncovered } from "./cover.js";
import { gestures } from "./gestures.js";
import { paint } from "./overlay.js";

const GROUND = [0.37, 0.385, 0.41];
const MOVING_POINTS = 200000; // 300,000 took 96 ms a frame by software
const ROUND = 3; // pixels above which a point is no square
const SHAPED = 5.5; // pixels above which patterns have shapes

const VERTEX = `#version 300 es
precision highp float;
in float east; in float north; in float value; in float shown;
uniform vec3 view; uniform vec2 half_size; uniform vec2 range; uniform float size; uniform float missing; uniform float classes;
flat out float place; flat out float shape;
void main() {
  vec2 at = (vec2(east, north) - view.xy) / view.z / half_size;
  bool none = classes > 0.0 ? value < 0.0 : value == missing;
  place = none ? -1.0 : classes > 0.0 ? value : clamp((value - range.x) / (range.y - range.x), 0.0, 1.0) * 255.0;
  shape = classes > 0.0 && size > ${SHAPED} ? mod(value, 4.0) : 0.0;
  gl_Position = shown > 0.0 ? vec4(at, 0.0, 1.0) : vec4(9.0, 9.0, 9.0, 1.0);
  gl_PointSize = none ? max(size * 0.7, 1.0) : size;
}`;

const SHAPES = `
  vec2 p = gl_PointCoord * 2.0 - 1.0;
  float reach = shape < 0.5 ? dot(p, p) : shape < 1.5 ? max(abs(p.x), abs(p.y)) * 1.18 : shape < 2.5 ? abs(p.x) + abs(p.y) : abs(p.x) + (1.0 - p.y) * 0.5;
  if (reach > 1.0) discard;`;

// squares have a program of their own: one that may discard takes a fifth longer by software, though it never does
const fragment = (round) => `#version 300 es
precision mediump float;
flat in highp float place; flat in highp float shape;
uniform sampler2D colours; uniform vec3 none;
out vec4 colour;
void main() {${round ? SHAPES : ""}
  colour = place < 0.0 ? vec4(none, 1.0) : vec4(texelFetch(colours, ivec2(int(place + 0.5), 0), 0).rgb, 1.0);
}`;

const UNIFORMS = ["view", "half_size", "range", "size", "missing", "classes", "none"];

export class PointMap {
  // clear: the points lie on images
  constructor(ground, canvas, overlay, events, clear) {
    this.ground = ground;
    this.canvas = canvas;
    this.overlay = overlay;
    this.events = events;
    this.chunks = [];
    this.view = [0, 0, 1];
    this.marks = [];
    this.areas = [];
    this.areasShown = false;
    this.alarmsShown = false;
    this.background = null;
    this.lassoing = false;
    this.path = null;
    this.many = MOVING_POINTS; // points in view from which those that others hide are looked for
    const gl = canvas.getContext("webgl2", { antialias: false, alpha: clear, powerPreference: "high-performance" });
    if (!gl) throw new Error("no WebGL2");
    this.gl = gl;
    this.build();
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
    canvas.addEventListener("webglcontextrestored", () => {
      this.build();
      this.chunks.forEach((chunk) => this.upload(chunk));
      this.colour(...this.coloured);
    });
    new ResizeObserver(() => this.resize()).observe(canvas.parentElement);
    gestures(this);
    this.resize();
  }

  build() {
    const gl = this.gl;
    this.programs = [false, true].map((round) => this.program(fragment(round)));
    gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST);
    gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST);
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1);
  }

  program(painting) {
    const gl = this.gl;
    const program = gl.createProgram();
    for (const [kind, text] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, painting]]) {
      const shader = gl.createShader(kind);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    }
    ["east", "north", "value", "shown"].forEach((name, i) => gl.bindAttribLocation(program, i, name));
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program));
    return { program, places: Object.fromEntries(UNIFORMS.map((name) => [name, gl.getUniformLocation(program, name)])) };
  }

  // chunk: {east, north: Int32Array, row, values: {name: Int16Array | Int8Array}, shown: Uint8Array, level}
  add(chunk) {
    this.chunks.push(chunk);
    this.upload(chunk);
    this.soon();
  }

  upload(chunk) {
    const gl = this.gl;
    chunk.array = gl.createVertexArray();
    gl.bindVertexArray(chunk.array);
    chunk.buffers = [chunk.east, chunk.north, null, chunk.shown].map((data, i) => {
      const buffer = gl.createBuffer();
      gl.bindBuffer(gl.ARRAY_BUFFER, buffer);
      if (data) gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
      gl.enableVertexAttribArray(i);
      if (i < 2) gl.vertexAttribPointer(i, 1, gl.INT, false, 0, 0);
      if (i === 3) gl.vertexAttribPointer(i, 1, gl.UNSIGNED_BYTE, false, 0, 0);
      return buffer;
    });
    chunk.order = gl.createBuffer();
    gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, chunk.order);
    if (this.coloured) this.fill(chunk);
  }

  fill(chunk) {
    const gl = this.gl;
    const data = chunk.values[this.coloured[0]];
    gl.bindVertexArray(chunk.array);
    gl.bindBuffer(gl.ARRAY_BUFFER, chunk.buffers[2]);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    gl.vertexAttribPointer(2, 1, data instanceof Int8Array ? gl.BYTE : gl.SHORT, false, 0, 0);
  }

  // spec: of the variable, {kind, step, classes}; range in its units
  colour(name, spec, range, missing) {
    const gl = this.gl;
    const other = this.coloured?.[0] !== name || !this.coloured;
    this.coloured = [name, spec, range, missing];
    if (other) this.chunks.forEach((chunk) => this.fill(chunk));
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB, 256, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, table(spec.kind, spec.classes));
    this.soon();
  }

  filtered() {
    const gl = this.gl;
    for (const chunk of this.chunks) {
      gl.bindBuffer(gl.ARRAY_BUFFER, chunk.buffers[3]);
      gl.bufferData(gl.ARRAY_BUFFER, chunk.shown, gl.STATIC_DRAW);
    }
    this.soon();
  }

  clear() {
    for (const chunk of this.chunks) {
      [...chunk.buffers, chunk.order].forEach((buffer) => this.gl.deleteBuffer(buffer));
      this.gl.deleteVertexArray(chunk.array);
    }
    this.chunks = [];
  }

  resize() {
    const box = this.canvas.parentElement.getBoundingClientRect();
    this.ratio = Math.min(window.devicePixelRatio || 1, 2);
    for (const canvas of [this.ground, this.canvas, this.overlay]) {
      canvas.width = Math.max(1, Math.round(box.width * this.ratio));
      canvas.height = Math.max(1, Math.round(box.height * this.ratio));
    }
    this.width = box.width;
    this.height = box.height;
    this.soon();
    this.events.resized();
  }

  soon() {
    this.wanted ??= requestAnimationFrame(() => {
      this.wanted = null;
      this.draw();
    });
  }

  // size of a point so that neighbours nearly touch, from the density of what is known to be there
  pointSize() {
    const apart = Math.sqrt(this.area / Math.max(this.count, 1)) / this.view[2];
    const least = this.count < 1000 ? 6 : this.count < 20000 ? 3 : 1.6; // a few on a line have no density
    return Math.min(Math.max(apart * 0.62, least), 11) * this.ratio;
  }

  draw() {
    const gl = this.gl;
    const began = performance.now();
    gl.viewport(0, 0, this.canvas.width, this.canvas.height);
    gl.clearColor(...(this.background ? [0, 0, 0, 0] : [...GROUND, 1]));
    gl.clear(gl.COLOR_BUFFER_BIT);
    this.drawn = 0;
    if (this.coloured) {
      const [, spec, range, missing] = this.coloured;
      const size = this.pointSize();
      const { program, places } = this.programs[size > ROUND ? 1 : 0];
      gl.useProgram(program);
      gl.uniform3f(places.view, ...this.view);
      gl.uniform2f(places.half_size, this.width / 2, this.height / 2);
      gl.uniform2f(places.range, range[0] / spec.step, range[1] / spec.step);
      gl.uniform1f(places.size, size);
      gl.uniform1f(places.missing, missing);
      gl.uniform1f(places.classes, spec.kind === "class" ? spec.classes : 0);
      gl.uniform3f(places.none, 58 / 255, 61 / 255, 66 / 255);
      const met = this.met();
      const seen = this.seen(met, size);
      for (const [c, chunk] of met.entries()) {
        const n = seen ? seen[c].length : chunk.east.length;
        if (this.moving && this.drawn + n > MOVING_POINTS && this.drawn) break;
        gl.bindVertexArray(chunk.array);
        if (seen) gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, seen[c], gl.STREAM_DRAW);
        if (seen) gl.drawElements(gl.POINTS, n, gl.UNSIGNED_INT, 0);
        else gl.drawArrays(gl.POINTS, 0, n);
        this.drawn += n;
      }
    }
    this.background?.draw(this);
    this.drawOverlay();
    this.frame = performance.now() - began;
    this.events.drawn();
  }

  // chunks in view
  met() {
    const box = this.bounds();
    return this.chunks.filter(({ box: [west, south, east, north] }) => east >= box[0] && west <= box[2] && north >= box[1] && south <= box[3]);
  }

  // of many points at rest the numbers of those that are not wholly under later ones: the picture is that of all
  seen(chunks, size) {
    const [name, spec, , missing] = this.coloured;
    const classes = spec.kind === "class" ? spec.classes : 0;
    const many = chunks.reduce((sum, chunk) => sum + chunk.east.length, 0) > this.many;
    if (this.moving || !many || (classes && size > SHAPED)) return null;
    const { view, width, height } = this;
    const pixels = { columns: this.canvas.width, rows: this.canvas.height };
    return uncovered(chunks, { view, width, height, ...pixels, size, round: size > ROUND, name, missing, classes });
  }

  // by the processor: a graphics card that is software takes ten times as long for lines
  drawOverlay(context = this.overlay.getContext("2d", { willReadFrequently: true })) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.overlay.width, this.overlay.height);
    paint(context, this);
  }

  toPixel(east, north) {
    return [(east - this.view[0]) / this.view[2] + this.width / 2, this.height / 2 - (north - this.view[1]) / this.view[2]];
  }

  toPlace(x, y) {
    return [this.view[0] + (x - this.width / 2) * this.view[2], this.view[1] - (y - this.height / 2) * this.view[2]];
  }

  bounds() {
    const [west, north] = this.toPlace(0, 0);
    const [east, south] = this.toPlace(this.width, this.height);
    return [west, south, east, north];
  }

  home([west, south, east, north], margin = 1.06) {
    const across = Math.max((east - west) / this.width, (north - south) / this.height, 5) * margin;
    this.show([(west + east) / 2, (south + north) / 2, across]);
  }

  show(view, moving = false) {
    this.view = [view[0], view[1], Math.min(Math.max(view[2], 0.02), 1e6)];
    this.moving = moving;
    clearTimeout(this.still);
    if (moving) this.still = setTimeout(() => this.show(this.view), 140);
    this.soon();
    this.events.moved(moving);
  }

  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const [east, north] = this.toPlace(x, y);
    const across = Math.min(Math.max(this.view[2] * factor, 0.02), 1e6);
    this.show([east - (x - this.width / 2) * across, north + (y - this.height / 2) * across, across], true);
  }

  pan(dx, dy) {
    this.show([this.view[0] - dx * this.view[2], this.view[1] + dy * this.view[2], this.view[2]], true);
  }
}

// length of a scale bar: a round number of metres, at most so many pixels
export function scaleBar(metresPerPixel, most = 120) {
  const metres = metresPerPixel * most;
  const unit = 10 ** Math.floor(Math.log10(metres));
  const found = [5, 2, 1].map((n) => n * unit).find((n) => n <= metres);
  return { metres: found, pixels: found / metresPerPixel, text: found >= 1000 ? `${found / 1000} km` : `${found} m` };
}
