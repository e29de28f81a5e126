"""Thousands of distinct images over several streams, made as they are sent, and when their answers came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from ocrmux.ocr.v1 import recognition_pb2
from tests.fakes.fleet import Fleet, Load, stream_items
from tests.fakes.numbered_images import numbered, png_of_size, text_of


class NumberedPages(Sequence[tuple[str, bytes]]):
    """Images with their ids, of which none is held: each is made when it is asked for."""

    def __init__(self, png: bytes, numbers: range) -> None:
        self._png = png
        self._numbers = numbers

    @classmethod
    def of_size(cls, size_bytes: int, numbers: range) -> NumberedPages:
        """PNG files of about so many bytes."""
        return cls(png_of_size(size_bytes), numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, index: int) -> tuple[str, bytes]: ...

    @overload
    def __getitem__(self, index: slice) -> NumberedPages: ...

    def __getitem__(self, index: int | slice) -> tuple[str, bytes] | NumberedPages:
        if isinstance(index, slice):
            return NumberedPages(self._png, self._numbers[index])
        number = self._numbers[index]
        return str(number), numbered(self._png, number)

    @property
    def image_bytes(self) -> int:
        """Of one of them."""
        return len(self._png)

    def text_of(self, request_id: str) -> str:
        """What the stand-in reads on an image."""
        return text_of(numbered(self._png, int(request_id)))


@dataclass
class TimedLoad(Load):
    """Also when each answer came, by the monotonic clock."""

    times_s: list[float] = field(default_factory=list)

    def take(self, answer: recognition_pb2.PageAnswer) -> None:
        """One more answer."""
        super().take(answer)
        self.times_s.append(time.monotonic())

    def rate_after_first_second(self) -> float:
        """Answers a second from one second after the first one to the last one; 0 where that is no time."""
        begins, ends = self.times_s[0] + 1.0, self.times_s[-1]
        later = sum(at > begins for at in self.times_s)
        return later / (ends - begins) if ends > begins else 0.0


async def send_over(fleet: Fleet, pages: NumberedPages, streams: int, load: Load, **fields: Any) -> None:
    """Sends the images over so many streams, spread over the replicas, and waits for every answer."""
    addresses = [gateway.address for gateway in fleet.gateways]
    async with asyncio.TaskGroup() as tasks:
        for number in range(streams):
            share = pages[number::streams]
            tasks.create_task(stream_items(addresses[number % len(addresses)], share, load, **fields))


def wrong_count(load: Load, pages: NumberedPages) -> int:
    """How many of the images have no answer, or not theirs. Never to be called while something is measured."""
    return len(load.wrong(pages.text_of)) + len(pages) - len(load.answers)
