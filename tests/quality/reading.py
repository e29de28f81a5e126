"""The two engines, as the gateway's own adapters run them, one thread each; what they read is kept on disk."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.metadata
import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from ocr_gateway.image_header import read_header
from ocr_gateway.image_pixels import decode_rgb
from ocr_gateway.model import Feature, Page, ProviderCall
from ocr_gateway.providers.rapid_engine import RapidEngine, model_name
from ocr_gateway.providers.rapid_ocr import RapidOcrProvider
from ocr_gateway.providers.rapid_reader import read_page
from ocr_gateway.providers.tesseract import TesseractProvider

# The adapter's own default.
_TEXT_SCORE = 0.5
_TESSERACT_MODELS = ("eng", "chi_sim")


@dataclass(frozen=True, slots=True)
class ReadLine:
    """A line as it was read; ``corners`` in pixels of the image, empty where the engine gives none."""

    text: str
    corners: tuple[tuple[float, float], ...] = ()


class Engine(Protocol):
    """Reads the bytes of an image."""

    def read(self, image: bytes) -> tuple[ReadLine, ...]:
        """The lines in reading order. Raises as the gateway's providers do."""
        ...


class RapidReading:
    """RapidOCR with the gateway's own way through a page, its page turns included."""

    def __init__(self) -> None:
        self._engine = RapidEngine()

    def read(self, image: bytes) -> tuple[ReadLine, ...]:
        """The lines in reading order."""
        return _lines(read_page(self._engine, decode_rgb(image), _TEXT_SCORE, lambda: None))


class TesseractReading:
    """Tesseract through the gateway's provider: its default segmentation, its default models."""

    def __init__(self) -> None:
        self._loop = asyncio.Runner()
        self._provider = TesseractProvider()
        self._loop.run(self._provider.start())

    def read(self, image: bytes) -> tuple[ReadLine, ...]:
        """The lines in reading order."""
        header = read_header(image)
        call = ProviderCall(image, header.media_type, header.width, header.height, Feature.TEXT)
        return _lines(self._loop.run(self._provider.recognize(call)).page)


ENGINES: Mapping[str, Callable[[], Engine]] = {"rapidocr": RapidReading, "tesseract": TesseractReading}


class KeptReadings:
    """An engine whose readings are kept in a folder, by the image's bytes and the engine's version.

    The engine is built by the first image that is not known yet.
    """

    def __init__(self, name: str, folder: Path) -> None:
        self._name = name
        self._folder = folder / name
        self._version = engine_version(name)
        self._engine: Engine | None = None

    def read(self, image: bytes) -> tuple[ReadLine, ...]:
        """The lines in reading order, read now or before."""
        key = hashlib.sha256(self._version.encode() + b"\0" + image).hexdigest()
        path = self._folder / key[:2] / f"{key}.json"
        if path.is_file():
            return tuple(ReadLine(line["text"], _points(line["corners"])) for line in json.loads(path.read_bytes()))
        if self._engine is None:
            self._engine = ENGINES[self._name]()
        lines = self._engine.read(image)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(json.dumps([asdict(line) for line in lines], ensure_ascii=False), "utf-8")
        draft.replace(path)
        return lines


def engine_version(name: str) -> str:
    """All that decides what an engine reads in an image, for example "tesseract-5.3.0/eng+chi_sim"."""
    if name == "rapidocr":
        adapter = RapidOcrProvider(1).description.adapter_version
        return f"{model_name()}/onnxruntime-{importlib.metadata.version('onnxruntime')}/{adapter}"
    adapter = TesseractProvider(1).description.adapter_version
    return f"{tesseract_version()}/{'+'.join(_TESSERACT_MODELS)}/{adapter}"


def missing_programs() -> list[str]:
    """The Debian packages that Tesseract lacks here."""
    try:
        answer = subprocess.run(
            ["tesseract", "--list-langs"], capture_output=True, text=True, check=True, timeout=20
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ["tesseract-ocr", "tesseract-ocr-chi-sim"]
    installed = set(answer.split())
    return [f"tesseract-ocr-{m.replace('_', '-')}" for m in _TESSERACT_MODELS if m not in installed]


def tesseract_version() -> str:
    """For example "tesseract-5.3.0". Raises ``OSError`` where the program is missing."""
    answer = subprocess.run(["tesseract", "--version"], capture_output=True, text=True, check=True, timeout=20).stdout
    return "-".join(answer.split()[:2])


def _lines(page: Page) -> tuple[ReadLine, ...]:
    return tuple(ReadLine(line.text, line.polygon or ()) for block in page.blocks for line in block.lines)


def _points(corners: list[list[float]]) -> tuple[tuple[float, float], ...]:
    return tuple((x, y) for x, y in corners)
