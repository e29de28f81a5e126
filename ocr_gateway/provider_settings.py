"""The settings of the embedded engines, and the union of all kinds of provider."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal, Union

from pydantic import Discriminator, Field, Tag

from ocr_gateway.model import Feature
from ocr_gateway.providers.catalogue import REMOTE_KINDS
from ocr_gateway.setting_parts import ProviderPart

_CORES = max(1, os.cpu_count() or 1)
EMBEDDED = ("rapidocr", "tesseract")


class RapidOcrSettings(ProviderPart):
    """RapidOCR, embedded."""

    kind: Literal["rapidocr"] = Field(default="rapidocr", description="Which program it is.")
    workers: int = Field(default=_CORES, ge=0, description="Threads of one core each; 0 turns it off.")

    @property
    def in_use(self) -> bool:
        """Whether there is such a provider."""
        return self.enabled and self.workers > 0

    @property
    def reads(self) -> frozenset[Feature]:
        """What it reads."""
        return frozenset(Feature)


class TesseractSettings(ProviderPart):
    """Tesseract, as a program that is run."""

    kind: Literal["tesseract"] = Field(default="tesseract", description="Which program it is.")
    workers: int = Field(default=_CORES, ge=0, description="Processes of one core each; 0 turns it off.")
    binary: str = Field(default="tesseract", min_length=1, description="Name or path of the program.")

    @property
    def in_use(self) -> bool:
        """Whether there is such a provider."""
        return self.enabled and self.workers > 0


KINDS: Mapping[str, type[ProviderPart]] = {
    "rapidocr": RapidOcrSettings,
    "tesseract": TesseractSettings,
    **{kind: remote.settings for kind, remote in REMOTE_KINDS.items()},
}
"""Every kind of provider with its settings."""


def built_in_providers() -> tuple[str, ...]:
    """The providers that are there without being declared: the embedded engines, Baidu, and each service in the cloud
    that has an address of its own and all of whose keys stand in the environment."""
    keyed = (
        kind
        for kind, remote in REMOTE_KINDS.items()
        if (variables := remote.settings.key_variables)
        and not remote.settings.model_fields["endpoint"].is_required()
        and all(os.environ.get(name) for name in variables.values())
    )
    return tuple(dict.fromkeys((*EMBEDDED, "baidu", *keyed)))


def _variant(given: object) -> str:
    kind = given.get("kind") if isinstance(given, Mapping) else getattr(given, "kind", None)
    return f"<{kind}>"


if TYPE_CHECKING:
    ProviderSettings = ProviderPart
else:
    ProviderSettings = Annotated[
        Union[tuple(Annotated[settings, Tag(f"<{kind}>")] for kind, settings in KINDS.items())],  # noqa: UP007 - made
        Discriminator(
            _variant,
            custom_error_type="setting",
            custom_error_message=f"keys with a kind ({', '.join(KINDS)}) are expected below it",
        ),
    ]


def with_kind(name: str, given: object) -> object:
    """A provider's settings as given, with what follows from its name alone: its kind, and where its keys are."""
    if given is not None and not isinstance(given, Mapping):
        return given
    filled = {"kind": name, **(given or {})}
    keys = filled.get("credentials")
    remote = REMOTE_KINDS.get(name)
    if remote is not None and name == filled["kind"] and (keys is None or isinstance(keys, Mapping)):
        sources = {key: {"env": variable} for key, variable in remote.settings.key_variables.items()}
        if sources:
            filled["credentials"] = {**sources, **(keys or {})}
    return filled
