// Fails the build if the first page needs more than 200 KB over the wire, compressed.
import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const BYTES_MAX = 200 * 1024;
const dist = new URL("../dist/", import.meta.url);
const html = readFileSync(new URL("index.html", dist), "utf8");
const names = [...html.matchAll(/(?:src|href)="\/admin\/([^"]+\.(?:js|css|svg))"/g)].map(
  (m) => m[1],
);
const sizes = ["index.html", ...new Set(names)].map((name) => {
  const bytes = gzipSync(readFileSync(new URL(name, dist))).length;
  return { name, bytes };
});
const total = sizes.reduce((sum, each) => sum + each.bytes, 0);
for (const { name, bytes } of sizes) console.log(`${String(bytes).padStart(8)}  ${name}`);
console.log(`${String(total).padStart(8)}  first page, gzip (at most ${BYTES_MAX})`);
if (total > BYTES_MAX) process.exit(1);
