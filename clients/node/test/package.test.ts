/** The built package as its users get it: `npm run build` comes before. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const NAMES = ["Backoff", "CacheOutcome", "Code", "OcrMuxClient", "OcrMuxError", "Reading", "UsageError", "errorOf"];

void describe("the package", () => {
  const require = createRequire(import.meta.url);

  void test("is imported", async () => {
    const module = (await import("@ocrmux/client")) as Record<string, unknown>;
    for (const name of NAMES) assert.ok(module[name], name);
  });

  void test("is required", () => {
    const module = require("@ocrmux/client") as Record<string, unknown>;
    for (const name of NAMES) assert.ok(module[name], name);
  });

  void test("has its generated stubs in both ways", async () => {
    const path = "@ocrmux/client/gen/ocrmux/preprocess/v1/preprocess";
    for (const stubs of [await import(path), require(path)] as Record<string, unknown>[]) {
      assert.ok(stubs["PreprocessServiceService"]);
    }
  });

  for (const [name, options] of [
    ["an ES module", ["--module", "nodenext"]],
    ["a bundler's module", ["--module", "esnext", "--moduleResolution", "bundler"]],
    ["a CommonJS module", ["--module", "nodenext"]],
  ] as const) {
    void test(`has types for ${name}, and for no newer library than ES2022`, () => {
      const folder = mkdtempSync(join(tmpdir(), "ocrmux-types-"));
      try {
        mkdirSync(join(folder, "node_modules/@ocrmux"), { recursive: true });
        symlinkSync(ROOT, join(folder, "node_modules/@ocrmux/client"));
        symlinkSync(join(ROOT, "node_modules/@types"), join(folder, "node_modules/@types"));
        const file = join(folder, name === "a CommonJS module" ? "user.cts" : "user.mts");
        writeFileSync(file, USER);
        const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
        const strict = ["--noEmit", "--strict", "--skipLibCheck", "--target", "es2022", "--types", "node"];
        execFileSync(process.execPath, [tsc, ...strict, ...options, file], { cwd: folder, encoding: "utf8" });
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
});

const USER = `
import { OcrMuxClient, OcrMuxError, errorOf, pagesOf, type Item, type ReadingConfig } from "@ocrmux/client";
import { PreprocessServiceService } from "@ocrmux/client/gen/ocrmux/preprocess/v1/preprocess";
export async function read(items: AsyncIterable<Item>, config: ReadingConfig): Promise<string[]> {
  const client = new OcrMuxClient("localhost:50051", { tls: true, token: "t" });
  const texts: string[] = [PreprocessServiceService.recognize.path];
  for await (const answer of client.streamRecognize(items, { config, policy: { digestFirst: true } })) {
    const error: OcrMuxError | undefined = errorOf(answer);
    texts.push(error === undefined ? (pagesOf(answer)[0]?.text ?? "") : error.reason);
  }
  // @ts-expect-error there is no such feature
  await client.recognize("page.png", { features: ["MUSIC"] });
  return texts;
}
`;
