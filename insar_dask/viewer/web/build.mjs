// Builds ../static from src: equal sources and versions give equal bytes.
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { build } from "esbuild";

const here = new URL(".", import.meta.url).pathname;
const out = process.argv[2] ?? `${here}../static`;
mkdirSync(out, { recursive: true });

const bundle = await build({
  absWorkingDir: here,
  entryPoints: ["src/main.js"],
  outfile: `${out}/app.js`,
  bundle: true,
  format: "esm",
  minify: true,
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  metafile: true,
  alias: Object.fromEntries(["blosc", "lz4", "zstd"].map((name) => [`numcodecs/${name}`, "./src/numcodecs.js"])),
});

const used = new Set();
for (const name of Object.keys(bundle.metafile.inputs)) {
  const found = name.match(/^node_modules\/((?:@[^/]+\/)?[^/]+)/);
  if (found) used.add(found[1]);
}
const packages = [...used].sort().map((name) => {
  const folder = `${here}node_modules/${name}`;
  const { version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  const file = readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  return { name, version, license, text: file ? readFileSync(`${folder}/${file}`, "utf8").trim() : "" };
});
const colours = readFileSync(`${here}src/COLOURS.txt`, "utf8").trim();
const rule = `\n\n${"-".repeat(78)}\n\n`;
writeFileSync(
  `${out}/LICENSES.txt`,
  [`What app.js holds besides the project's own code.`, ...packages.map((p) => `${p.name} ${p.version} (${p.license})\n\n${p.text || `Licence: ${p.license}; the package carries no text of it.`}`), colours].join(rule) + "\n",
);

const uplot = readFileSync(`${here}node_modules/uplot/dist/uPlot.min.css`, "utf8").trim();
writeFileSync(`${out}/app.css`, `${uplot}\n${readFileSync(`${here}src/app.css`, "utf8")}`);
writeFileSync(`${out}/index.html`, readFileSync(`${here}src/index.html`));

const files = ["app.css", "app.js", "index.html", "LICENSES.txt"];
const about = (name) => {
  const data = readFileSync(`${out}/${name}`);
  return { bytes: data.length, sha256: createHash("sha256").update(data).digest("hex") };
};
const record = { files: Object.fromEntries(files.map((name) => [name, about(name)])), packages: packages.map(({ name, version, license }) => ({ name, version, license })) };
writeFileSync(`${out}/BUILD.json`, JSON.stringify(record, null, 1) + "\n");
