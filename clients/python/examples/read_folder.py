"""Reads a folder, one JSON line a page. Exit status: 0 all read, 1 some failed, 2 not done, 130 interrupted."""

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from ocrmux.ocr.v1.recognition_pb2 import CacheOutcome, PageAnswer
from ocrmux_client import Item, OcrMuxClient, OcrMuxError, StreamPolicy, Tls

SUFFIXES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".heic", ".avif", ".pdf"}


def record(source: Path, answer: PageAnswer) -> dict[str, Any]:
    """One page, or what a whole file failed for: then its page is 0."""
    error = OcrMuxError.from_status(answer.error) if answer.HasField("error") else None
    page = answer.document.pages[0] if answer.document.pages else None
    return {
        "source": str(source),
        "page": answer.page,
        "status": error.code.name if error else "OK",
        "reason": (error.reason or None) if error else None,
        "text": page.text if page else None,
        "confidence": page.confidence if page and page.HasField("confidence") else None,
        "provider": answer.provenance.provider or None,
        "cache": CacheOutcome.Name(answer.provenance.cache).split("_")[-1] if answer.provenance.cache else None,
        "attempts": answer.provenance.attempts,
    }


async def read(files: list[Path], target: str, ca_file: Path | None, policy: StreamPolicy) -> int:
    """Reads the files, printing as answers come, and gives the exit status."""
    items = (Item(str(number), path) for number, path in enumerate(files))  # a path may be too long for an id
    tls = Tls(ca_file) if ca_file else None
    status = 0
    async with OcrMuxClient(target, tls=tls, token=os.environ.get("OCRMUX_TOKEN") or None) as client:
        async for answer in client.stream_recognize(items, policy=policy):
            status |= answer.HasField("error")
            print(json.dumps(record(files[int(answer.request_id)], answer), ensure_ascii=False), flush=True)
    return status


def reconnecting(failures: int, pause_s: float, cause: OcrMuxError) -> None:
    """Tells of a broken connection, which the client opens again by itself."""
    print(f"read_folder: {cause} ({failures} in a row), next try in {pause_s:.1f} s", file=sys.stderr)


parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("folder", type=Path)
parser.add_argument("--target", default="127.0.0.1:50051", help="HOST:PORT of a preprocess service")
parser.add_argument("--concurrency", type=int, default=8, help="files on their way at once")
parser.add_argument("--digest-first", action="store_true", help="ask the cache by hash before sending a file")
parser.add_argument("--ca-file", type=Path, help="TLS with the roots in this PEM file")
options = parser.parse_args()
try:
    policy = StreamPolicy(concurrency=options.concurrency, digest_first=options.digest_first, on_reconnect=reconnecting)
    os.scandir(options.folder).close()  # says why, where there is no such folder
    files = [path for path in sorted(options.folder.rglob("*")) if path.suffix.lower() in SUFFIXES]
    sys.exit(asyncio.run(read(files, options.target, options.ca_file, policy)))
except KeyboardInterrupt:
    sys.exit(130)
except (OcrMuxError, OSError, ValueError) as error:
    print(f"read_folder: {error}", file=sys.stderr)
    sys.exit(2)
