// Fails the build if the first page (the overview, with its chart) needs more than 200 KB over the
// wire, compressed. Counted are the page, what it names, and the chunks that the overview loads.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BYTES_MAX = 200 * 1024;
const SHOWN_FIRST = ["src/pages/overview/OverviewPage.tsx", "src/ui/Chart.tsx"];

const dist = new URL("../dist/", import.meta.url);
const read = (name) => readFileSync(new URL(name, dist));
const html = read("index.html").toString();
const manifest = JSON.parse(read(".vite/manifest.json").toString());

const named = [...html.matchAll(/(?:src|href)="\/admin\/([^"]+\.(?:js|css|svg))"/g)].map(
  (m) => m[1],
);
const needed = new Set(["index.html", ...named]);
function need(key) {
  const chunk = manifest[key];
  if (!chunk || needed.has(`seen ${key}`)) return;
  needed.add(`seen ${key}`);
  needed.add(chunk.file);
  for (const css of chunk.css ?? []) needed.add(css);
  for (const other of chunk.imports ?? []) need(other);
}
for (const key of SHOWN_FIRST) need(key);

let total = 0;
for (const name of [...needed].filter((each) => !each.startsWith("seen "))) {
  const bytes = gzipSync(read(name)).length;
  total += bytes;
  console.log(`${String(bytes).padStart(8)}  ${name}`);
}
console.log(`${String(total).padStart(8)}  first page, gzip (at most ${BYTES_MAX})`);
if (total > BYTES_MAX) process.exit(1);
