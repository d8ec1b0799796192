#!/usr/bin/env node
// Presents solc-js (WebAssembly, from npm) as the native `solc` that forge expects.
//
// forge asks two things only: `--version`, and a compilation in the standard JSON form from standard input
// or from a file. Sources arrive inline, so no import callback is needed. Anything else is an error.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
const args = process.argv.slice(2);

if (args.includes("--version")) {
  // The package's own version: loading the WebAssembly only to ask for it would cost half a second each time.
  const { version } = require("solc/package.json");
  process.stdout.write(`solc, the solidity compiler commandline interface\nVersion: ${version}\n`);
} else if (args.includes("--standard-json")) {
  const file = args.find((arg) => arg.endsWith(".json"));
  const input = readFileSync(file ?? 0, "utf8");
  process.stdout.write(require("solc").compile(input));
} else {
  process.stderr.write("solc.mjs: only --version and --standard-json are offered\n");
  process.exit(2);
}
