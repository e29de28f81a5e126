"""Providers with a taste of their own, for what the preprocess service makes for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ocr_gateway.model import Feature, FeatureSupport, ImageLimits, PagePreference, ProviderDescription
from tests.fakes.providers import Script, ScriptedProvider, at_once


class FussyProvider(ScriptedProvider):
    """A scripted provider that likes its pages in one way, and takes other images for each feature."""

    def __init__(
        self,
        script: Script = at_once,
        *,
        preference: PagePreference = PagePreference.UNTOUCHED,
        limits: Mapping[Feature, ImageLimits] | ImageLimits | None = None,
        **options: Any,
    ) -> None:
        by_feature = limits if isinstance(limits, Mapping) else {Feature.TEXT: limits or ImageLimits()}
        super().__init__(script, features=tuple(by_feature), **options)
        self._fussy = replace(
            super().description,
            features={feature: FeatureSupport(each, preference) for feature, each in by_feature.items()},
        )

    @property
    def description(self) -> ProviderDescription:
        return self._fussy
