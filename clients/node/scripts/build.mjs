// Compiles the library (dist/esm, dist/cjs), the conformance driver (dist-conformance) and the tests (build).
// `node scripts/build.mjs library` stops after the library.

import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
const tsc = fileURLToPath(new URL("../node_modules/typescript/bin/tsc", import.meta.url));

function compile(project) {
  const { status } = spawnSync(process.execPath, [tsc, "-p", project], { stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}

for (const folder of ["dist", "dist-conformance", "build"]) rmSync(folder, { recursive: true, force: true });
for (const [folder, type] of [
  ["esm", "module"],
  ["cjs", "commonjs"],
]) {
  compile(`tsconfig.${folder}.json`);
  mkdirSync(`dist/${folder}`, { recursive: true });
  writeFileSync(`dist/${folder}/package.json`, `{ "type": "${type}" }\n`);
}
if (process.argv[2] !== "library") {
  compile("tsconfig.conformance.json");
  compile("tsconfig.test.json");
}
