"""Hostile and odd files against the service as a process: each is answered, and nothing else suffers."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from ocrmux.preprocess.v1 import preprocess_pb2
from ocrmux.preprocess.v1.preprocess_pb2_grpc import PreprocessServiceStub
from tests.fakes.hostile_files import hostile_files
from tests.fakes.hostile_stream import GOOD, Answered, HostileStream, with_good_ones
from tests.fakes.process_memory import MemoryWatch, watched_memory
from tests.fakes.processes import ServiceUnderTest, pair

PAGE_LIMIT_S = 2.0
MAX_RSS_MB = 1500.0
SLACK_S = 6.0
"""For what four files and two cores take besides their pages' limits."""
FEWEST_FILES = 70

Stream = preprocess_pb2.StreamNormalizeRequest


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[tuple[ServiceUnderTest, Any]]:
    """The pair as processes, with two workers, and the preprocess service's stub."""
    limit = str(PAGE_LIMIT_S)
    async with (
        pair(folder, gateway_module="tests.fakes.gateway_process", workers="2", page_time_limit_s=limit) as (_, above),
        grpc.aio.insecure_channel(above.address) as channel,
    ):
        yield above, PreprocessServiceStub(channel)


def normalizing(stub: Any, profile: str) -> HostileStream:
    normalization = preprocess_pb2.NormalizationConfig(profile=profile)
    config = Stream(config=preprocess_pb2.NormalizeStreamConfig(normalization=normalization))
    return HostileStream(stub.StreamNormalize, config, Stream, timeout_s=200)


def recognizing(stub: Any) -> HostileStream:
    request = preprocess_pb2.StreamRecognizeRequest
    return HostileStream(
        stub.StreamRecognize, request(config=preprocess_pb2.RecognizeStreamConfig()), request, timeout_s=200
    )


def check(answered: dict[str, Answered], service: ServiceUnderTest, memory: MemoryWatch) -> None:
    """Prints what came, then asserts every promise."""
    kinds = Counter(kind for each in answered.values() for _, kind in each.outcomes)
    slowest = sorted(answered.values(), key=lambda each: -each.wall_s)[:12]
    print(f"{len(answered)} files in {_span_s(answered):.0f} s, pages: {dict(kinds)}")
    print("slowest: " + ", ".join(f"{each.file.name} {each.wall_s:.1f} s" for each in slowest))
    print(f"RSS of all at most {memory.peak_rss_mb:.0f} MB, by VmHWM {memory.peak_bound_mb:.0f} MB")
    faults = [fault for each in answered.values() if (fault := each.fault())]
    assert not faults, "\n".join(faults)
    late = [each.file.name for each in answered.values() if each.wall_s > _most_s(each)]
    assert not late
    assert memory.peak_rss_mb < MAX_RSS_MB
    assert service.process.returncode is None


def _span_s(answered: dict[str, Answered]) -> float:
    return max(each.done_s for each in answered.values()) - min(each.sent_s for each in answered.values())


def _most_s(answered: Answered) -> float:
    """Two workers and three files in front of it."""
    return 2 * PAGE_LIMIT_S + SLACK_S + 0.1 * len(answered.outcomes)


@pytest.mark.parametrize("profile", ["none", "auto"])
async def test_each_hostile_file_is_answered_once_with_its_reason(profile: str, tmp_path: Path) -> None:
    """Over one stream every file is read right or refused as promised, within its time, and good ones between them
    are read; memory stays below 1.5 GB and the process lives on.
    """
    files = hostile_files()
    assert len(files) >= FEWEST_FILES
    async with running(tmp_path) as (above, stub):
        async with watched_memory(above.process.pid) as memory:
            answered = await normalizing(stub, profile).run(with_good_ones(files.values()))
        check(answered, above, memory)
        assert sum(name.startswith(GOOD) for name in answered) > len(files) // 4


async def test_hostile_files_on_the_whole_way(tmp_path: Path) -> None:
    """With recognition behind it, files of each kind and what ends a worker are answered like any other."""
    files = [file for number, file in enumerate(hostile_files().values()) if number % 6 == 0 or "bomb" in file.name]
    async with running(tmp_path) as (above, stub):
        async with watched_memory(above.process.pid) as memory:
            answered = await recognizing(stub).run(with_good_ones(files))
        check(answered, above, memory)
