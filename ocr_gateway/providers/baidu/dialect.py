"""Baidu's cloud OCR: text, tables, identity cards, business licences and bank cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

from ocr_gateway.model import (
    Feature,
    FeatureSupport,
    ImageLimits,
    ProviderCall,
    ProviderDescription,
    ProviderKind,
    ProviderResult,
)
from ocr_gateway.providers.baidu.bce_auth import signed_headers
from ocr_gateway.providers.baidu.endpoints import ENDPOINTS, Endpoint, endpoint_of
from ocr_gateway.providers.baidu.errors import ERRORS, refusal_of
from ocr_gateway.providers.baidu.form import encode_form
from ocr_gateway.providers.baidu.pages import page_of
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.dialect import Dialect, Request
from ocr_gateway.providers.remote.meanings import Refusal

PATH = "/rest/2.0/ocr/v1/"
_ADAPTER_VERSION = 2
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}


@dataclass(frozen=True, slots=True)
class AccessKey:
    """A pair of keys that sign."""

    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)


class BaiduDialect(Dialect):
    """Text by ``text_endpoint``, tables by ``table``, each document by its endpoint, or by the option ``endpoint``.

    ``address`` is the service's, without a path. With a ``key`` calls are signed by it, without one they carry the
    token that they are given. Options are those that Baidu documents for the endpoint. What is billed is an answer
    without an error, 1.0 each.
    """

    errors = ERRORS

    def __init__(
        self,
        name: str,
        *,
        address: str,
        features: Mapping[Feature, FeatureSupport],
        text_endpoint: str = "general",
        key: AccessKey | None = None,
    ) -> None:
        self._address = address
        self._text_endpoint = text_endpoint
        self._key = key
        self._description = ProviderDescription(
            name=name,
            display_name="Baidu OCR",
            kind=ProviderKind.CLOUD,
            features=features,
            languages=tuple(sorted(ENDPOINTS[text_endpoint].languages)),
            adapter_version=_ADAPTER_VERSION,
        )

    @property
    def model(self) -> str:
        """The endpoints that calls go to unless they ask for others."""
        return f"{self._text_endpoint},table,idcard/v1"

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for an option, a value, a language or a document that there is not."""
        self._endpoint(call).form_of(call.languages, call.options)

    def action(self, call: ProviderCall) -> str:
        """The endpoint's name."""
        return self._endpoint(call).name

    def limits(self, call: ProviderCall) -> ImageLimits:
        """The endpoint's."""
        return self._endpoint(call).limits

    def body(self, calls: Sequence[ProviderCall]) -> bytes:
        """The form."""
        call = calls[0]
        endpoint = self._endpoint(call)
        return encode_form(call.image, endpoint.form_of(call.languages, call.options), endpoint.max_form_bytes)

    def request(self, calls: Sequence[ProviderCall], sha256: str, access: str, now: float) -> Request:  # noqa: ARG002
        """A POST to the endpoint, with the token in its query or with a signature."""
        address = f"{self._address}{PATH}{self._endpoint(calls[0]).name}"
        if self._key is None:
            return Request("POST", f"{address}?access_token={quote(access, safe='')}", _HEADERS)
        parts = urlsplit(address)
        signature = signed_headers(
            "POST",
            parts.netloc,
            parts.path,
            access_key=self._key.access_key,
            secret_key=self._key.secret_key,
            now=now,
        )
        return Request("POST", address, _HEADERS | signature)

    def refusal(self, answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
        """By ``error_code``, else by the status."""
        return refusal_of(answer, said)

    def results(self, said: dict[str, Any], calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Refusal]:
        """The one page."""
        call = calls[0]
        page = page_of(said, self._endpoint(call).name, call.width, call.height)
        return [ProviderResult(page, billed_units=1.0)]

    def _endpoint(self, call: ProviderCall) -> Endpoint:
        return endpoint_of(call, self._text_endpoint)
