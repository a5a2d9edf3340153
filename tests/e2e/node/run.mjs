// Runs one scenario: `node run.mjs NAME`, its arguments as JSON on stdin, its result on stdout.

import { readFileSync } from "node:fs";

import * as answers from "./answers.mjs";
import * as failures from "./failures.mjs";
import * as sockets from "./sockets.mjs";
import * as vercel from "./vercel.mjs";

const scenarios = { ...answers, ...failures, ...sockets, ...vercel };
const result = await scenarios[process.argv[2]](JSON.parse(readFileSync(0, "utf8")));
process.stdout.write(JSON.stringify(result ?? null));
