"""Tencent's API, in terms of the common base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ocr_gateway.errors import ImageTooLargeBytes
from ocr_gateway.model import Feature, IdDocument, Page, ProviderCall, ProviderDescription, ProviderResult
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.address import host_of
from ocr_gateway.providers.remote.dialect import Dialect, Request, status_refusal
from ocr_gateway.providers.remote.json_body import image_mark, json_with_images
from ocr_gateway.providers.remote.meanings import Meaning, Refusal
from ocr_gateway.providers.remote.values import member, optional_text
from ocr_gateway.providers.tencent.actions import TABLE_ACTION, action_of
from ocr_gateway.providers.tencent.errors import ERRORS
from ocr_gateway.providers.tencent.pages import table_page, text_page
from ocr_gateway.providers.tencent.papers import fields_of
from ocr_gateway.providers.tencent.signing import authorization

VERSION = "2018-11-19"
_CONTENT_TYPE = "application/json"


class TencentDialect(Dialect):
    """JSON over POST, signed by TC3. Errors come with HTTP 200."""

    errors = ERRORS
    signs_body = True

    def __init__(
        self,
        description: ProviderDescription,
        *,
        endpoint: str,
        text_action: str,
        secret_id: str,
        secret_key: str,
        token: str | None = None,
        region: str | None = None,
    ) -> None:
        self._description = description
        self._url = f"{endpoint}/"
        self._host = host_of(endpoint)
        self._text_action = text_action
        self._secret_id = secret_id
        self._secret_key = secret_key
        self._token = token
        self._region = region

    @property
    def model(self) -> str:
        """The API's version, and the actions for text and tables."""
        return f"{self._text_action},{TABLE_ACTION}/{VERSION}"

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for what the call's action does not have."""
        action_of(call, self._text_action).parameters(call)

    def action(self, call: ProviderCall) -> str:
        """GeneralBasicOCR and the like."""
        return action_of(call, self._text_action).name

    def body(self, calls: Sequence[ProviderCall]) -> bytes:
        """JSON with the image in base64. Raises ImageTooLargeBytes, as an image that was turned may have grown."""
        call = calls[0]
        action = action_of(call, self._text_action)
        if len(call.image) > action.limits.max_bytes:
            raise ImageTooLargeBytes(value=len(call.image), limit=action.limits.max_bytes)
        return json_with_images({"ImageBase64": image_mark(), **action.parameters(call)}, call.image)

    def request(self, calls: Sequence[ProviderCall], sha256: str, access: str, now: float) -> Request:  # noqa: ARG002
        """Signed for this second; Tencent takes it for five minutes."""
        timestamp = int(now)
        headers = {
            "Host": self._host,
            "Content-Type": _CONTENT_TYPE,
            "X-TC-Action": self.action(calls[0]),
            "X-TC-Version": VERSION,
            "X-TC-Timestamp": str(timestamp),
            "Authorization": authorization(
                self._secret_id,
                self._secret_key,
                content_type=_CONTENT_TYPE,
                host=self._host,
                body_sha256=sha256,
                now=timestamp,
            ),
        }
        if self._region:
            headers["X-TC-Region"] = self._region
        if self._token:
            headers["X-TC-Token"] = self._token
        return Request("POST", self._url, headers)

    def refusal(self, answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
        """``Response.Error`` under any status. What is said of rejected keys is left out, since it may quote them."""
        response = said.get("Response") if said else None
        error = response.get("Error") if isinstance(response, dict) else None
        if not isinstance(error, dict) or not isinstance(error.get("Code"), str):
            return status_refusal(answer)
        code, words = error["Code"], error.get("Message")
        if not isinstance(words, str) or ERRORS.meaning(code) is Meaning.CREDENTIALS:
            words = ""
        return Refusal(code, words, status=answer.status, retry_after_s=answer.retry_after_s)

    def results(self, said: dict[str, Any], calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Refusal]:
        """One page, one unit."""
        call = calls[0]
        response = member(said, "Response")
        optional_text(member(response, "RequestId"), "RequestId")
        match call.feature:
            case Feature.TEXT:
                page = text_page(response, call.width, call.height)
            case Feature.TABLE:
                page = table_page(response, call.width, call.height)
            case Feature.ID_DOCUMENT:
                fields = fields_of(response, call.document or IdDocument.IDENTITY_CARD)
                page = Page(call.width, call.height, fields=fields)
        return [ProviderResult(page, 1.0)]
