"""Tesseract, where its command-line program is installed: one process a page, on one core."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping, Sequence

import structlog
from PIL import Image

from ocr_gateway.errors import FieldInvalid, ProviderNotConfigured, ProviderUnavailable
from ocr_gateway.image_layout import SUPPORTED_MEDIA_TYPES
from ocr_gateway.image_pixels import RgbImage, decode_rgb
from ocr_gateway.model import (
    Feature,
    FeatureSupport,
    ImageLimits,
    Page,
    PagePreference,
    ProviderCall,
    ProviderDescription,
    ProviderKind,
    ProviderResult,
    ProviderState,
    ProviderStatus,
    Quota,
)
from ocr_gateway.providers.bounded_process import OutputTooLong, ProcessOutcome, run_bounded
from ocr_gateway.providers.engine_pool import ProviderLoad
from ocr_gateway.providers.tesseract_languages import default_models, language_of, model_of
from ocr_gateway.providers.tesseract_tsv import blocks_of

_NAME = "tesseract"
_DEFAULT_MODE = "3"
_MODES = ("3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "13")
_PROBE_TIMEOUT_S = 10.0
_MAX_OUTPUT_BYTES = 32 * 1024 * 1024
_LIMITS = ImageLimits(
    max_bytes=64 * 1024 * 1024,
    max_pixels=64_000_000,
    # Tesseract keeps places in 16 bits.
    max_side_px=32_000,
    min_side_px=4,
    media_types=SUPPORTED_MEDIA_TYPES,
)

_log = structlog.get_logger("ocr_gateway.providers")


class TesseractProvider:
    """Blocks, lines and words by Tesseract 4 or 5, ``workers`` pages at a time, others first come, first served.

    One option, ``psm``, Tesseract's page segmentation mode, 3 to 13 without those that give no text. The default is 3,
    its full page analysis: on a two-column magazine page its character error rate is 7.8 % where mode 6, one uniform
    block, has 76 %, for it reads across the columns; on single-column pages the two are alike. A page that takes longer
    than ``timeout_s`` counts as failed.
    """

    def __init__(self, workers: int = 1, binary: str = "tesseract", *, timeout_s: float = 120.0) -> None:
        if workers < 1:
            raise ValueError(f"workers must be 1 or more, not {workers}")
        self._binary = binary
        self._timeout_s = timeout_s
        self._environment = {**os.environ, "OMP_THREAD_LIMIT": "1", "OMP_NUM_THREADS": "1", "LC_ALL": "C"}
        self._slots = asyncio.Semaphore(workers)
        self._in_progress = 0
        self._waiting = 0
        self._models: tuple[str, ...] = ()
        self._status = ProviderStatus(ProviderState.STARTING, detail="its version and languages are being asked for")
        self._probed = asyncio.Event()
        self._probe_task: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[ProcessOutcome]] = set()
        self._closed = False
        self._workers = workers

    @property
    def description(self) -> ProviderDescription:
        """What never changes, once ``start`` has found the installed languages; before, it names none."""
        languages = sorted(tag for model in self._models if (tag := language_of(model)) is not None)
        return ProviderDescription(
            name=_NAME,
            display_name="Tesseract (embedded)",
            kind=ProviderKind.EMBEDDED,
            features={
                Feature.TEXT: FeatureSupport(
                    limits=_LIMITS,
                    page_preference=PagePreference.CLEANED_GREY,
                    quota=Quota(max_concurrency=self._workers),
                )
            },
            languages=tuple(languages),
        )

    @property
    def status(self) -> ProviderStatus:
        """STARTING until the program has answered; NOT_CONFIGURED, with the reason, when it cannot be used."""
        return self._status

    @property
    def load(self) -> ProviderLoad:
        """Pages being read and pages that wait for their turn."""
        return ProviderLoad(in_progress=self._in_progress, waiting=self._waiting)

    async def start(self) -> None:
        """Begins to ask the program for its version and languages."""
        if self._probe_task is None and not self._closed:
            self._probe_task = asyncio.create_task(self._probe(), name="tesseract-probe")

    async def until_ready(self) -> None:
        """A page waits for the program in ``recognize``: there is no quota to lose."""

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for an unknown option; languages are known only once the program has been asked."""
        _mode(call.options)

    async def recognize(self, call: ProviderCall) -> ProviderResult:
        """Reads one image; a page without text has no blocks. Raises as the port says."""
        mode = _mode(call.options)
        self._waiting += 1
        try:
            await self._until_probed()
            models = self._models_for(call.languages)
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        self._in_progress += 1
        try:
            if self._closed:
                raise ProviderUnavailable(_NAME, "it is being stopped")
            pixels = await asyncio.to_thread(decode_rgb, call.image)
            image = await asyncio.to_thread(_grey_pnm, pixels)
            height, width = pixels.shape[:2]
            tsv = await self._read(image, mode, models)
        finally:
            self._in_progress -= 1
            self._slots.release()
        try:
            blocks = blocks_of(tsv.decode("utf-8", "replace"))
        except ValueError as error:
            raise ProviderUnavailable(_NAME, f"its output is not understood: {error}") from error
        return ProviderResult(
            page=Page(width=width, height=height, blocks=blocks),
            raw_response=tsv if call.include_raw_response else b"",
        )

    async def close(self) -> None:
        """Kills the processes; their callers, and those that wait, get ``ProviderUnavailable``."""
        self._closed = True
        if self._probe_task is not None:
            self._probe_task.cancel()
        tasks = [*self._running, *([self._probe_task] if self._probe_task is not None else [])]
        for task in self._running:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=3.0)
        self._status = ProviderStatus(ProviderState.NOT_CONFIGURED, model=self._status.model, detail="it is closed")
        self._probed.set()

    async def _until_probed(self) -> None:
        if self._probe_task is None and not self._closed:
            raise ProviderUnavailable(_NAME, "it was not started")
        await self._probed.wait()
        if self._closed:
            raise ProviderUnavailable(_NAME, "it is being stopped")
        if self._status.state is ProviderState.NOT_CONFIGURED:
            raise ProviderNotConfigured(_NAME, self._status.detail)

    async def _probe(self) -> None:
        """Finds version and languages; whatever goes wrong stands in the status."""
        try:
            version = _version(await self._ask("--version"))
            self._models = _installed(await self._ask("--list-langs"))
        except Exception as error:  # an unexpected one too: nobody reads by a program that cannot be asked
            detail = f"{self._binary}: {error or type(error).__name__}"
            self._status = ProviderStatus(ProviderState.NOT_CONFIGURED, detail=detail)
            _log.info("provider.not_configured", provider=_NAME, detail=detail)
        else:
            self._status = ProviderStatus(ProviderState.SERVING, model=f"tesseract-{version}")
        finally:
            self._probed.set()  # whatever happened, nobody waits for it any more

    async def _ask(self, question: str) -> str:
        outcome = await run_bounded(
            [self._binary, question],
            environment=self._environment,
            max_output_bytes=1024 * 1024,
            timeout_s=_PROBE_TIMEOUT_S,
        )
        if outcome.status != 0:
            raise ValueError(f"{question} ended with status {outcome.status}: {_last_words(outcome)}")
        return (outcome.output or outcome.errors).decode("utf-8", "replace")

    async def _read(self, image: bytes, mode: str, models: Sequence[str]) -> bytes:
        task = asyncio.create_task(
            run_bounded(
                [self._binary, "stdin", "stdout", "-l", "+".join(models), "--psm", mode, "-c", "tessedit_create_tsv=1"],
                stdin=image,
                environment=self._environment,
                max_output_bytes=_MAX_OUTPUT_BYTES,
                timeout_s=self._timeout_s,
            ),
            name="tesseract-page",
        )
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        try:
            outcome = await task
        except asyncio.CancelledError:
            if self._closed and task.cancelled():
                raise ProviderUnavailable(_NAME, "it is being stopped") from None
            raise
        except TimeoutError:
            raise ProviderUnavailable(_NAME, f"a page took longer than {self._timeout_s:g} s") from None
        except (OSError, OutputTooLong) as error:
            raise ProviderUnavailable(_NAME, str(error)) from error
        if outcome.status != 0:
            raise ProviderUnavailable(_NAME, f"it ended with status {outcome.status}: {_last_words(outcome)}")
        return outcome.output

    def _models_for(self, languages: Sequence[str]) -> Sequence[str]:
        if not languages:
            return default_models(self._models)
        models: list[str] = []
        for language in languages:
            model = model_of(language)
            if model is None or model not in self._models:
                raise FieldInvalid(
                    "recognition.languages",
                    f"the provider {_NAME!r} does not read {language!r} here; installed are "
                    f"{', '.join(self.description.languages)}",
                )
            models.append(model)
        return list(dict.fromkeys(models))


def _mode(options: Mapping[str, str]) -> str:
    unknown = sorted(set(options) - {"psm"})
    if unknown:
        raise FieldInvalid(
            "recognition.provider_options", f"the provider {_NAME!r} has no option {unknown[0]!r}; it has 'psm'"
        )
    mode = options.get("psm", _DEFAULT_MODE)
    if mode not in _MODES:
        raise FieldInvalid("recognition.provider_options", f"psm must be one of {', '.join(_MODES)}, not {mode!r}")
    return mode


def _grey_pnm(pixels: RgbImage) -> bytes:
    """The pixels as a grey PNM, which costs nothing to write or to read."""
    grey = Image.fromarray(pixels).convert("L")
    return b"P5\n%d %d\n255\n" % grey.size + grey.tobytes()


def _version(answer: str) -> str:
    match = re.search(r"tesseract\s+v?(\d+(?:\.\d+)*)", answer)
    if match is None:
        raise ValueError("it does not say its version")
    return match.group(1)


def _installed(answer: str) -> tuple[str, ...]:
    """The models of a language; the first line is a heading."""
    models = tuple(name.strip() for name in answer.splitlines()[1:] if language_of(name.strip()) is not None)
    if not models:
        raise ValueError("no language is installed")
    return models


def _last_words(outcome: ProcessOutcome) -> str:
    return outcome.errors.decode("utf-8", "replace").strip()[-300:] or "no message"
