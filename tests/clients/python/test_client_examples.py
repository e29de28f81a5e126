"""The examples, as programs, against a strict stub."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import pytest

from tests.clients.python.test_client_connections import server_credentials
from tests.fakes.certificates import CertificateAuthority
from tests.fakes.stub_servers import StubPlan, stub_preprocess

EXAMPLES = Path(__file__).resolve().parents[3] / "clients" / "python" / "examples"
RECORD = ["source", "page", "status", "reason", "text", "confidence", "provider", "cache", "attempts"]


async def example(name: str, *arguments: str | Path, **environment: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(EXAMPLES / name), *map(str, arguments)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | environment,
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


@pytest.mark.parametrize("name", ["read_folder.py", "read_folder_blocking.py"])
async def test_an_example_reads_a_folder(name: str, tmp_path: Path) -> None:
    """A record a page over TLS with a token, exit status 0, 1 where a file failed, 2 where nothing could be done."""
    authority = CertificateAuthority(tmp_path)
    folder = tmp_path / "scans"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.png").write_bytes(b"a")
    (folder / "deep" / "b.pdf").write_bytes(b"pages=2")
    (folder / "note.txt").write_bytes(b"no image")
    plan = StubPlan()
    async with stub_preprocess(plan, credentials=server_credentials(authority)) as target:
        options = ("--target", target, "--ca-file", authority.cert_file, "--concurrency", "2")
        status, out, err = await example(name, folder, *options, "--digest-first", OCRMUX_TOKEN="s3cret")
        assert (status, err) == (0, "")
        records = [json.loads(line) for line in out.splitlines()]
        assert [(Path(record["source"]).name, record["page"]) for record in records] == [
            ("a.png", 1),
            ("b.pdf", 1),
            ("b.pdf", 2),
        ]
        assert list(records[0]) == RECORD
        assert (records[0]["status"], records[0]["reason"]) == ("OK", None)
        assert (records[0]["provider"], records[0]["cache"], records[0]["attempts"]) == ("stub", "MISS", 1)
        assert plan.metadata[0]["authorization"] == "Bearer s3cret"
        assert sorted(plan.received) == ["0", "0", "1", "1"]  # each asked for by digest, then sent

        (folder / "c.png").write_bytes(b"error=IMAGE_EMPTY")
        status, out, err = await example(name, folder, *options)
        failed = json.loads(out.splitlines()[1])
        assert (status, failed["page"], failed["status"]) == (1, 0, "INVALID_ARGUMENT")
        assert (failed["reason"], failed["text"], failed["cache"]) == ("IMAGE_EMPTY", None, None)
    status, out, err = await example(name, tmp_path / "gone", "--target", target)
    assert (status, out) == (2, "")
    assert "No such file or directory" in err
    status, out, err = await example(name, folder, "--target", "ocr.example:1", OCRMUX_TOKEN="s3cret")
    assert (status, out) == (2, "")
    assert "in the clear" in err
