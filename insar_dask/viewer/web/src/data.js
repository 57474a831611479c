// Reads a store over HTTP: whole objects and byte ranges, nothing else. Every fault is said with its cure.
import { decompress } from "fzstd";
import * as zarr from "zarrita";

export class Fault extends Error {
  constructor(kind, text, cure) {
    super(text);
    this.kind = kind;
    this.cure = cure;
  }
}

// numcodecs' own reader of zstd builds functions from text, which a strict policy forbids
zarr.registry.set("zstd", () => ({
  fromConfig: () => ({
    kind: "bytes_to_bytes",
    // a copy where it is part of a longer buffer: zarrita's reader of text takes the whole one
    decode(data) {
      const found = decompress(data);
      return found.byteLength === found.buffer.byteLength ? found : found.slice();
    },
  }),
}));

const NO_RANGES = [
  "ranges",
  "This server answers no byte ranges, so a series cannot be read without the whole file it lies in.",
  "Serve the folder with `insar-dask explore`, nginx, Apache or an object store; `python -m http.server` cannot.",
];

function unreached(address, error) {
  const own = address.origin === location.origin;
  const cure = own
    ? "The server has ended: start `insar-dask explore` again."
    : "The other server must allow this page by CORS, and the page's policy must name it: `insar-dask explore --export DIR --store URL`.";
  return new Fault("network", `${address.href} cannot be reached (${error.message}).`, cure);
}

class Http {
  constructor(root) {
    this.root = root.endsWith("/") ? root : `${root}/`;
    this.documents = new Map();
    this.suffix = true;
    this.requests = 0;
    this.bytes = 0;
  }

  async ask(key, options) {
    this.requests += 1;
    const address = new URL(key.replace(/^\//, "").split("/").map(encodeURIComponent).join("/"), this.root);
    try {
      return await fetch(address, options);
    } catch (error) {
      throw unreached(address, error);
    }
  }

  async body(answer) {
    try {
      const data = new Uint8Array(await answer.arrayBuffer());
      this.bytes += data.length;
      return data;
    } catch (error) {
      throw unreached(new URL(answer.url), error);
    }
  }

  async get(key) {
    const known = this.documents.get(key.replace(/^\//, ""));
    if (known) return known;
    const answer = await this.ask(key);
    if (answer.status === 404 || answer.status === 403) return undefined;
    if (!answer.ok) throw await refused(key, answer);
    return this.body(answer);
  }

  async json(key) {
    const data = await this.get(key);
    if (!data) return undefined;
    try {
      return JSON.parse(new TextDecoder().decode(data));
    } catch {
      throw new Fault("document", `${key} is no JSON document.`, "`insar-dask verify STORE` says what is damaged.");
    }
  }

  async getRange(key, range) {
    if (!("suffixLength" in range)) return this.part(key, range.offset, range.length);
    if (this.suffix) {
      const answer = await this.ask(key, { headers: { Range: `bytes=-${range.suffixLength}` } });
      if (answer.status === 404) return undefined;
      if (answer.status === 206) return this.body(answer);
      if (answer.status >= 500) throw await refused(key, answer);
      this.suffix = false;
      await answer.body?.cancel();
    }
    const head = await this.ask(key, { method: "HEAD" });
    if (head.status === 404) return undefined;
    const size = Number(head.headers.get("Content-Length"));
    if (!head.ok || !size) throw new Fault(...NO_RANGES);
    return this.part(key, size - range.suffixLength, range.suffixLength);
  }

  // 206 and the length asked for, or nothing: a whole file would be decoded from the wrong place
  async part(key, offset, length) {
    const answer = await this.ask(key, { headers: { Range: `bytes=${offset}-${offset + length - 1}` } });
    if (answer.status === 404) return undefined;
    if (answer.status >= 500) throw await refused(key, answer);
    if (answer.status !== 206) {
      await answer.body?.cancel();
      throw new Fault(...NO_RANGES);
    }
    const data = await this.body(answer);
    if (data.length !== length) throw new Fault(...NO_RANGES);
    return data;
  }
}

// with what the server says of it, if it says a word
async function refused(key, answer) {
  const text = answer.headers.get("Content-Type")?.startsWith("text/plain") ? (await answer.text()).trim().slice(0, 300) : "";
  const said = text && text !== String(answer.status) ? `: ${text}` : ".";
  return new Fault("status", `${key}: the server answered ${answer.status}${said}`, "Mend that and click again; the server's log may tell more.");
}

const MOST_KEPT = 64;

export class Store {
  constructor(address) {
    this.http = new Http(new URL(address, location.href).href);
    this.arrays = new Map();
    this.chunks = new Map();
  }

  async index() {
    const found = await this.http.json("explore/zarr.json");
    if (!found?.attributes?.products?.length) {
      throw new Fault(
        "explore",
        `There is nothing to explore at ${this.http.root}: it has no group "explore".`,
        "Make it with `insar-dask explore STORE` or `insar-dask explore STORE --export DIR`.",
      );
    }
    return found.attributes.products;
  }

  async open(product) {
    const document = await this.http.json(`${product.group}/zarr.json`);
    if (!document?.attributes?.levels) {
      throw new Fault("explore", `${product.group} is not there.`, "Run `insar-dask explore STORE` again.");
    }
    for (const [name, found] of Object.entries(document.consolidated_metadata?.metadata ?? {})) this.know(`${product.group}/${name}`, found);
    for (const [path, found] of Object.entries(document.attributes.documents ?? {})) this.know(path, found);
    return document.attributes;
  }

  // what an array of the cube is, without asking for it
  know(path, document) {
    this.http.documents.set(`${path}/zarr.json`, new TextEncoder().encode(JSON.stringify(document)));
  }

  array(path) {
    if (!this.arrays.has(path)) {
      const opened = zarr.open.v3(zarr.root(this.http).resolve(`/${path}`), { kind: "array" });
      opened.catch(() => this.arrays.delete(path));
      this.arrays.set(path, opened);
    }
    return this.arrays.get(path);
  }

  // a decoded chunk; the last few are kept, so that neighbours of a clicked point cost no request
  async chunk(path, at) {
    const key = `${path}:${at}`;
    if (!this.chunks.has(key)) {
      const reading = this.array(path).then((array) => array.getChunk(at));
      reading.catch(() => this.chunks.delete(key));
      this.chunks.set(key, reading);
    }
    const found = this.chunks.get(key);
    this.chunks.delete(key);
    this.chunks.set(key, found);
    while (this.chunks.size > MOST_KEPT) this.chunks.delete(this.chunks.keys().next().value);
    try {
      return await found;
    } catch (error) {
      for (let one = error; one; one = one.cause) if (one instanceof Fault) throw one;
      throw new Fault("codec", `${path} cannot be read: ${reason(error)}`, "`insar-dask verify STORE` says what is damaged.");
    }
  }

  // numbers of one row of an array over (point), (point, x) or (origin, point, x); of several origins the last
  async row(path, row) {
    const array = await this.array(path);
    const axis = array.shape.length === 3 ? 1 : 0;
    const size = array.chunks[axis];
    const at = array.shape.map((n, a) => (a === axis ? Math.floor(row / size) : axis === 1 && a === 0 ? Math.ceil(n / array.chunks[0]) - 1 : 0));
    const { data, stride } = await this.chunk(path, at);
    const first = axis === 1 ? ((array.shape[0] - 1) % array.chunks[0]) * stride[0] : 0;
    const start = first + (row % size) * stride[axis];
    const take = (i) => (typeof data.get === "function" ? data.get(i) : data[i]);
    if (array.shape.length === 1) return take(start);
    const last = array.shape.length - 1;
    return Array.from({ length: array.shape[last] }, (_, i) => Number(take(start + i * stride[last])));
  }

  async numbers(path, row, packing) {
    const values = await this.row(path, row);
    if (!packing) return values;
    // float32(k) / float32(10), as the engine decodes tenths
    const tenths = Math.round(1 / packing.scale);
    return values.map((k) => (k === packing.missing ? NaN : Math.fround(k / tenths)));
  }

  // a chunk of a product's map, with the arrays named
  async part(group, level, number, names) {
    const found = await Promise.all(names.map((name) => this.chunk(`${group}/${level}/${name}`, [number]).then((c) => c.data)));
    return Object.fromEntries(names.map((name, i) => [name, found[i]]));
  }
}

function reason(error) {
  const words = [];
  for (let one = error; one; one = one.cause) words.push(one.message);
  return words.join(": ");
}
