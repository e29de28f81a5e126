"""Drives the Python client through one scenario: ``driver.py [--sync] FILE``, as tests/conformance/README.md says.

``--sync`` takes the blocking client. Exit status: 0 whenever the last event was written, else 2.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import traceback
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from ocrmux.gateway.v1.gateway_pb2 import ListProvidersResponse
from ocrmux.ocr.v1.recognition_pb2 import CacheOutcome, PageAnswer
from ocrmux_client import (
    Backoff,
    CacheUse,
    Feature,
    IdDocument,
    Item,
    OcrMux,
    OcrMuxClient,
    OcrMuxError,
    Priority,
    ReadingConfig,
    Region,
    StreamPolicy,
    Tls,
)

_UNARY_BACKOFF = Backoff(attempts=4)
_CHOICES = {"cache": CacheUse, "priority": Priority, "id_document": IdDocument}


class Events:
    """The events on standard output, each a line that is flushed at once."""

    def __init__(self) -> None:
        self.drawn = 0

    def write(self, event: str, **values: Any) -> None:
        """One event."""
        sys.stdout.write(json.dumps({"event": event, **values}, ensure_ascii=False) + "\n")
        sys.stdout.flush()

    def answer(self, answer: PageAnswer, request_id: str) -> None:
        """An answer of a page, or of an item as a whole."""
        error = OcrMuxError.from_status(answer.error) if answer.WhichOneof("outcome") == "error" else None
        pages = answer.document.pages
        self.write(
            "answer",
            id=request_id,
            page=answer.page,
            last_page=answer.last_page,
            page_count=answer.page_count,
            code=error.code.name if error else "OK",
            reason=error.reason if error else "",
            text="\f".join(page.text for page in pages),
            fields={field.name: field.normalized_value for page in pages for field in page.fields},
            provider=answer.provenance.provider,
            cache=CacheOutcome.Name(answer.provenance.cache).removeprefix("CACHE_OUTCOME_"),
            attempts=answer.provenance.attempts,
            retry_after_s=error.retry_after_s if error else None,
            metadata=error.metadata if error else {},
        )

    def reconnect(self, failures: int, wait_s: float, cause: OcrMuxError) -> None:
        """The client's hook was called."""
        self.write("reconnect", failures=failures, wait_s=wait_s, code=cause.code.name, reason=cause.reason)

    def providers(self, response: ListProvidersResponse) -> None:
        """The names of the providers."""
        self.write("providers", names=[provider.name for provider in response.providers])

    def holding(self) -> None:
        """No further answer is taken for now."""
        self.write("drawn", count=self.drawn)
        self.write("holding")

    def end(self, code: str, reason: str = "", message: str = "", retry_after_s: float | None = None) -> None:
        """The last one."""
        self.write(
            "end",
            code=code,
            reason=reason,
            message=message,
            retry_after_s=retry_after_s,
            drawn=self.drawn,
            heap_peak_bytes=_peak_bytes(),
        )


class Scenario:
    """What FILE asks for, in the client's own terms."""

    def __init__(self, wanted: dict[str, Any], events: Events) -> None:
        self._wanted = wanted
        self._events = events
        self.call: str = wanted["call"]
        self.target: str = wanted["target"]
        self.config = _config(wanted.get("config", {}))
        given = dict(wanted.get("policy", {}))
        backoff = given.pop("backoff", {})
        self.policy = StreamPolicy(**given, backoff=Backoff(**backoff), on_reconnect=events.reconnect)
        self.timeout = {"timeout_s": self.policy.timeout_s} if self.policy.timeout_s is not None else {}
        self.connection: dict[str, Any] = {
            "gateway_target": wanted.get("gateway_target"),
            "tls": Tls(**wanted["tls"]) if "tls" in wanted else None,
            "token": wanted.get("token"),
            "tenant": wanted.get("tenant"),
            "backoff": replace(_UNARY_BACKOFF, **backoff),
        }

    def items(self) -> Iterator[Item]:
        """The items, each made and counted when the client draws it."""
        tells = "generated" in self._wanted or "hold_after" in self._wanted
        for item in self._generated() if "generated" in self._wanted else self._listed():
            self._events.drawn += 1
            if tells and self._events.drawn.bit_count() == 1:
                self._events.write("drawn", count=self._events.drawn)
            yield item

    def one(self) -> Item:
        """The item of a unary call."""
        return next(self.items())

    def is_left_at(self, answers: int) -> bool:
        """Whether the caller leaves after so many answers."""
        return answers == self._wanted.get("cancel_after")

    def is_held_at(self, answers: int) -> bool:
        """Whether the caller waits after so many answers."""
        return answers == self._wanted.get("hold_after")

    def _listed(self) -> Iterator[Item]:
        for item in self._wanted["items"]:
            path = Path(item["path"])
            content = path.read_bytes() if item.get("in_memory") else path
            regions = tuple(Region(*region) for region in item.get("regions", ()))
            yield Item(item["id"], content, regions, item.get("password", ""))

    def _generated(self) -> Iterator[Item]:
        made = self._wanted["generated"]
        base = Path(made["base"]).read_bytes()
        for number in range(made["count"]):
            yield Item(f"g{number}", base.ljust(made["bytes"] - 8, b"\0") + number.to_bytes(8, "big"))


async def drive(scenario: Scenario, events: Events) -> str:
    """Drives the asynchronous client; gives the code of the ending. Raises what the client raises."""
    async with OcrMuxClient(scenario.target, **scenario.connection) as client:
        if scenario.call == "list_providers":
            events.providers(await client.list_providers(**scenario.timeout))
            return "OK"
        if scenario.call == "recognize":
            item = scenario.one()
            reading = await client.recognize(
                item.content, scenario.config, regions=item.regions, password=item.password, **scenario.timeout
            )
            for answer in reading.answers:
                events.answer(answer, item.request_id)
            return "OK"
        async with aclosing(client.stream_recognize(scenario.items(), scenario.config, scenario.policy)) as answers:
            async for count, answer in _counted(answers):
                events.answer(answer, answer.request_id)
                if scenario.is_left_at(count):
                    return "CANCELLED"
                if scenario.is_held_at(count):
                    events.holding()
                    await asyncio.to_thread(sys.stdin.readline)
    return "OK"


def drive_blocking(scenario: Scenario, events: Events) -> str:
    """Drives the blocking client; gives the code of the ending. Raises what the client raises."""
    with OcrMux(scenario.target, **scenario.connection) as client:
        if scenario.call == "list_providers":
            events.providers(client.list_providers(**scenario.timeout))
            return "OK"
        if scenario.call == "recognize":
            item = scenario.one()
            reading = client.recognize(
                item.content, scenario.config, regions=item.regions, password=item.password, **scenario.timeout
            )
            for answer in reading.answers:
                events.answer(answer, item.request_id)
            return "OK"
        with closing(client.stream_recognize(scenario.items(), scenario.config, scenario.policy)) as answers:
            for count, answer in enumerate(answers, 1):
                events.answer(answer, answer.request_id)
                if scenario.is_left_at(count):
                    return "CANCELLED"
                if scenario.is_held_at(count):
                    events.holding()
                    sys.stdin.readline()
    return "OK"


async def _counted(answers: AsyncIterator[PageAnswer]) -> AsyncIterator[tuple[int, PageAnswer]]:
    count = 0
    async for answer in answers:
        count += 1
        yield count, answer


def _config(wanted: dict[str, Any]) -> ReadingConfig:
    values: dict[str, Any] = {
        name: _CHOICES[name][value] if name in _CHOICES else value for name, value in wanted.items()
    }
    values["features"] = tuple(Feature[name] for name in wanted.get("features", ["TEXT"]))
    values["languages"] = tuple(wanted.get("languages", ()))
    return ReadingConfig(**values)


def _peak_bytes() -> int | None:
    """The most memory that this process has had resident, where the system tells it; more than the heap alone."""
    status = Path("/proc/self/status")
    match = re.search(r"VmHWM:\s+(\d+) kB", status.read_text(encoding="utf-8")) if status.exists() else None
    return int(match[1]) * 1024 if match else None


def main() -> int:
    """Runs the scenario and gives the exit status."""
    parser = argparse.ArgumentParser(description="Drives the Python client through one scenario.")
    parser.add_argument("--sync", action="store_true", help="the blocking client")
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args()
    events = Events()
    try:
        scenario = Scenario(json.loads(arguments.file.read_text(encoding="utf-8")), events)
        code = drive_blocking(scenario, events) if arguments.sync else asyncio.run(drive(scenario, events))
        events.end(code)
    except OcrMuxError as error:
        events.end(error.code.name, error.reason, error.message, error.retry_after_s)
    except ValueError as error:
        events.end("INVALID_ARGUMENT", "USAGE", str(error))
    except Exception:
        traceback.print_exc()
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
