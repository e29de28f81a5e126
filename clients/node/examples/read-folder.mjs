// Reads a folder's images and documents, and writes one line of JSON a page.
//
//   node examples/read-folder.mjs FOLDER [--target HOST:PORT] [--concurrency N] [--digest-first] [--ca-file FILE]
//
// A token stands in OCRMUX_TOKEN. Exit status: 0 all read, 1 some items failed, 2 bad usage or nothing could start.

import { opendir, stat } from "node:fs/promises";
import { extname, join, relative } from "node:path";
import { parseArgs } from "node:util";
import { CacheOutcome, errorOf, OcrMuxClient, OcrMuxError, pagesOf, UsageError } from "@ocrmux/client";

const USAGE =
  "usage: read-folder FOLDER [--target HOST:PORT] [--concurrency N] [--digest-first] [--ca-file FILE]; token: OCRMUX_TOKEN";
const EXTENSIONS = new Set(".avif .bmp .gif .heic .heif .jpeg .jpg .pdf .png .tif .tiff .webp".split(" "));

/** What the command line says, or undefined where it makes no sense. */
function asked() {
  const options = {
    target: { type: "string", default: "127.0.0.1:50051" },
    concurrency: { type: "string", default: "8" },
    "digest-first": { type: "boolean", default: false },
    "ca-file": { type: "string" },
  };
  try {
    const { values, positionals } = parseArgs({ options, allowPositionals: true });
    const [folder, ...others] = positionals;
    return folder === undefined || others.length > 0 ? undefined : { folder, ...values };
  } catch (error) {
    console.error(error.message);
    return undefined;
  }
}

/** The files below a folder, each an item under its path within it, one at a time: memory does not grow with the folder. */
async function* itemsOf(folder, run) {
  for await (const entry of await opendir(folder, { recursive: true })) {
    if (!entry.isFile() || !EXTENSIONS.has(extname(entry.name).toLowerCase())) continue;
    const path = join(entry.parentPath ?? entry.path, entry.name);
    const requestId = `file-${run.files}`; // a path may be longer than an id
    run.files += 1;
    run.sources.set(requestId, relative(folder, path));
    yield { requestId, content: path };
  }
}

/** The record of an answer. */
function recordOf(source, answer) {
  const error = errorOf(answer);
  const [page] = pagesOf(answer);
  const { provenance } = answer;
  return {
    source,
    page: answer.page,
    status: error?.codeName ?? "OK",
    reason: error?.reason || null,
    text: error === undefined ? (page?.text ?? "") : null,
    confidence: page?.confidence ?? null,
    provider: provenance?.provider || null,
    cache: provenance?.cache ? CacheOutcome[provenance.cache] : null,
    attempts: provenance?.attempts ?? 0,
  };
}

/** Reads the folder; what became of it stands in `run`. */
async function read({ folder, target, concurrency, "digest-first": digestFirst, "ca-file": ca }, run) {
  const token = process.env.OCRMUX_TOKEN;
  const client = new OcrMuxClient(target, { ...(ca && { tls: { ca } }), ...(token && { token }) });
  const onReconnect = (failures, waitMs, cause) => {
    console.error(`no connection (${cause.codeName} ${cause.message}), next try in ${Math.round(waitMs)} ms`);
  };
  const policy = { concurrency: Number(concurrency), digestFirst, onReconnect };
  try {
    for await (const answer of client.streamRecognize(itemsOf(folder, run), { policy })) await take(answer, run);
  } finally {
    client.close();
  }
}

/** Writes the record of an answer. */
async function take(answer, run) {
  const source = run.sources.get(answer.requestId);
  const error = errorOf(answer);
  if (error !== undefined) {
    run.failed.add(answer.requestId);
    console.error(`${source}${answer.page > 0 ? `, page ${answer.page}` : ""}: ${error}`);
  }
  if (answer.lastPage) run.sources.delete(answer.requestId);
  run.answers += 1;
  const line = `${JSON.stringify(recordOf(source, answer))}\n`;
  if (!process.stdout.write(line)) await new Promise((resolve) => process.stdout.once("drain", resolve));
}

async function main() {
  const wanted = asked();
  if (wanted === undefined || !(await stat(wanted.folder).catch(() => undefined))?.isDirectory()) {
    console.error(wanted === undefined ? USAGE : `${wanted.folder} is no folder`);
    return 2;
  }
  const run = { files: 0, answers: 0, failed: new Set(), sources: new Map() };
  try {
    await read(wanted, run);
    console.error(`${run.files} files, ${run.failed.size} of them with errors`);
    return run.failed.size > 0 ? 1 : 0;
  } catch (error) {
    const isExpected = error instanceof OcrMuxError || error instanceof UsageError || error.code === "ENOENT";
    console.error(isExpected ? String(error) : error);
    return run.answers > 0 ? 1 : 2;
  }
}

process.exitCode = await main();
