"""Baidu's provider before its stand-in: what its tests need."""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from ocr_gateway.errors import ProviderNotConfigured, ProviderQuotaSpent
from ocr_gateway.model import Feature, IdDocument, Page, ProviderCall, ProviderState
from ocr_gateway.providers.baidu.settings import BaiduSettings, build_baidu
from rpc_runtime.expected_error import ExpectedError
from tests.fakes.images import encoded, photo

PHOTO = encoded(photo(), "JPEG")
PATIENCE_S = 20.0
_VARIABLES = {"api_key": "OCRMUX_TEST_DESK_API_KEY", "secret_key": "OCRMUX_TEST_DESK_SECRET_KEY"}


class Desk:
    """The provider, made of settings, and its clock, which a test can put forward. An empty key is none."""

    def __init__(
        self,
        url: str,
        *,
        api_key: str = "standin-key",
        secret_key: str = "standin-secret",
        wall_clock: Callable[[], float] = time.time,
        **settings: Any,
    ) -> None:
        self.ahead_s = 0.0
        os.environ[_VARIABLES["api_key"]], os.environ[_VARIABLES["secret_key"]] = api_key, secret_key
        credentials = {name: {"env": variable} for name, variable in _VARIABLES.items()}
        parsed = BaiduSettings.model_validate({"endpoint": url, "credentials": credentials, **settings})
        self.provider = build_baidu(
            "baidu", parsed, clock=lambda: time.monotonic() + self.ahead_s, wall_clock=wall_clock
        )

    @property
    def state(self) -> ProviderState:
        """Of the provider, now."""
        return self.provider.status.state


def image(number: int = 0, size: int = 20_000) -> bytes:
    """A JPEG unlike the others."""
    return PHOTO + number.to_bytes(4, "big") * ((size - len(PHOTO)) // 4)


def call(
    content: bytes = PHOTO, feature: Feature = Feature.TEXT, document: IdDocument | None = None, **options: str
) -> ProviderCall:
    """A call for a small JPEG."""
    return ProviderCall(
        image=content,
        media_type="image/jpeg",
        width=96,
        height=64,
        feature=feature,
        document=document,
        options=options,
    )


def words_of(content: bytes) -> str:
    """What the stand-in reads in an image."""
    return hashlib.sha256(content).hexdigest()[:16]


def texts(page: Page) -> list[str]:
    """The text of each line."""
    return [line.text for block in page.blocks for line in block.lines]


async def until(look: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    """What ``look`` gives once it is as wanted."""
    async with asyncio.timeout(PATIENCE_S):
        while not wanted(seen := await look()):  # noqa: ASYNC110 - another process does it
            await asyncio.sleep(0.02)
    return seen


async def failure_of(desk: Desk, **about: Any) -> ExpectedError:
    """What a call fails with."""
    with pytest.raises(ExpectedError) as failure:
        await desk.provider.recognize(call(**about))
    return failure.value


def is_for_all(error: ExpectedError) -> bool:
    """Whether it closes the provider for every call of the feature."""
    assert isinstance(error, ProviderNotConfigured | ProviderQuotaSpent)
    return error.for_all
