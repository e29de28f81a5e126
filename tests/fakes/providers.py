"""Providers for tests, behind the real port: a scripted one, and one that finds ink exactly."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable

import cv2
import numpy as np
from PIL import Image, ImageOps

from ocr_gateway.model import (
    Block,
    Feature,
    FeatureSupport,
    ImageLimits,
    Line,
    Page,
    PagePreference,
    ProviderCall,
    ProviderDescription,
    ProviderKind,
    ProviderResult,
    ProviderState,
    ProviderStatus,
    Quota,
    Word,
)

Script = Callable[[ProviderCall], Awaitable[Page | None]]


def page_saying(text: str, call: ProviderCall) -> Page:
    """A page with one line over its whole extent."""
    corners = ((0.0, 0.0), (float(call.width), 0.0), (float(call.width), float(call.height)), (0.0, float(call.height)))
    return Page(call.width, call.height, (Block((Line(text, 0.9, corners, (Word(text, 0.9, corners),)),)),))


async def at_once(call: ProviderCall) -> Page | None:
    """The default script: the extent as text, without a wait."""
    return page_saying(f"{call.width}x{call.height}", call)


class Gate:
    """A script that holds every call until it is opened."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()

    async def __call__(self, call: ProviderCall) -> Page | None:
        await self.opened.wait()
        return await at_once(call)


class ScriptedProvider:
    """Does what its script says and keeps count: calls begun, in progress, the most at a time, and cancelled."""

    def __init__(
        self,
        script: Script = at_once,
        *,
        name: str = "scripted",
        max_concurrency: int = 0,
        features: tuple[Feature, ...] = (Feature.TEXT,),
        state: ProviderState = ProviderState.SERVING,
        limits: ImageLimits | None = None,
    ) -> None:
        self.script = script
        self.calls: list[ProviderCall] = []
        self.in_progress = 0
        self.most_in_progress = 0
        self.cancelled = 0
        self.closed = False
        self.progress = asyncio.Condition()
        self._status = ProviderStatus(state, model="scripted-1")
        support = FeatureSupport(
            limits or ImageLimits(), PagePreference.UNTOUCHED, quota=Quota(max_concurrency=max_concurrency)
        )
        self._description = ProviderDescription(
            name, name.title(), ProviderKind.EMBEDDED, dict.fromkeys(features, support)
        )

    @property
    def description(self) -> ProviderDescription:
        return self._description

    @property
    def status(self) -> ProviderStatus:
        return self._status

    async def start(self) -> None:
        """Ready at once."""

    async def close(self) -> None:
        self.closed = True

    async def until_ready(self) -> None:
        """At once."""

    def check(self, call: ProviderCall) -> None:
        """Takes every option."""

    async def recognize(self, call: ProviderCall) -> ProviderResult:
        self.calls.append(call)
        self.in_progress += 1
        self.most_in_progress = max(self.most_in_progress, self.in_progress)
        await self._notify()
        try:
            page = await self.script(call)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.in_progress -= 1
        raw_response = b"raw" if call.include_raw_response else b""
        return ProviderResult(page or Page(call.width, call.height), billed_units=1.0, raw_response=raw_response)

    async def until(self, reached: Callable[[], bool], timeout_s: float = 20.0) -> None:
        """Returns once ``reached`` holds; it is looked at whenever a call begins."""
        async with asyncio.timeout(timeout_s), self.progress:
            await self.progress.wait_for(reached)

    async def _notify(self) -> None:
        async with self.progress:
            self.progress.notify_all()


async def ink_of(call: ProviderCall) -> Page | None:
    """One line for each dark patch, its box exactly around the ink (to half a grey level at its edges)."""
    return await asyncio.to_thread(_find_ink, call)


def _find_ink(call: ProviderCall) -> Page:
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(call.image)))
    grey = np.asarray(image.convert("L"))
    count, _, stats, _ = cv2.connectedComponentsWithStats((grey < 128).astype(np.uint8))
    lines = []
    for x, y, width, height, area in (tuple(map(float, row)) for row in stats[1:count]):
        if area >= 4:
            corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
            lines.append(Line("ink", 1.0, corners, (Word("ink", 1.0, corners),)))
    lines.sort(key=lambda line: line.polygon or ())
    return Page(call.width, call.height, (Block(tuple(lines)),))
