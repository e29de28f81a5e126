"""Huawei's API, in terms of the common base."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from ocr_gateway.errors import ImageTooLargeBytes
from ocr_gateway.model import Feature, IdDocument, Page, ProviderCall, ProviderDescription, ProviderResult
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.huawei.actions import action_of
from ocr_gateway.providers.huawei.errors import ERRORS
from ocr_gateway.providers.huawei.pages import table_page, text_page
from ocr_gateway.providers.huawei.papers import fields_of
from ocr_gateway.providers.huawei.signing import authorization, sdk_date
from ocr_gateway.providers.remote.address import host_of
from ocr_gateway.providers.remote.dialect import Dialect, Request, status_refusal
from ocr_gateway.providers.remote.json_body import image_mark, json_with_images
from ocr_gateway.providers.remote.meanings import Meaning, Refusal
from ocr_gateway.providers.remote.values import member

VERSION = "v2"
_CONTENT_TYPE = "application/json"


class HuaweiDialect(Dialect):
    """JSON over POST, signed with AK and SK; each service has a path of its own."""

    errors = ERRORS
    signs_body = True

    def __init__(
        self,
        description: ProviderDescription,
        *,
        endpoint: str,
        project_id: str,
        access_key: str,
        secret_key: str,
        security_token: str | None = None,
    ) -> None:
        self._description = description
        self._endpoint = endpoint
        self._host = host_of(endpoint)
        self._project_id = project_id
        self._access_key = access_key
        self._secret_key = secret_key
        self._security_token = security_token

    @property
    def model(self) -> str:
        """The API's version: there is nothing to choose."""
        return f"ocr/{VERSION}"

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for what the call's service does not have."""
        action_of(call).parameters(call)

    def action(self, call: ProviderCall) -> str:
        """general-text and the like."""
        return action_of(call).name

    def body(self, calls: Sequence[ProviderCall]) -> bytes:
        """JSON with the image in base64. Raises ImageTooLargeBytes, as an image that was turned may have grown."""
        call = calls[0]
        action = action_of(call)
        if len(call.image) > action.limits.max_bytes:
            raise ImageTooLargeBytes(value=len(call.image), limit=action.limits.max_bytes)
        return json_with_images({"image": image_mark(), **action.parameters(call)}, call.image)

    def request(self, calls: Sequence[ProviderCall], sha256: str, access: str, now: float) -> Request:  # noqa: ARG002
        """Signed for this second."""
        path = f"/{VERSION}/{quote(self._project_id, safe='')}/ocr/{self.action(calls[0])}"
        headers = {
            "Content-Type": _CONTENT_TYPE,
            "Host": self._host,
            "X-Project-Id": self._project_id,
            "X-Sdk-Date": sdk_date(now),
        }
        if self._security_token:
            headers["X-Security-Token"] = self._security_token
        signed = authorization(self._access_key, self._secret_key, path=path, headers=headers, body_sha256=sha256)
        return Request("POST", f"{self._endpoint}{path}", {**headers, "Authorization": signed})

    def refusal(self, answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
        """``error_code``. What is said of rejected keys is left out, since it may quote what was signed."""
        code = said.get("error_code") if said else None
        if not isinstance(code, str) or not code:
            return status_refusal(answer)
        words = said.get("error_msg") if said else None
        if not isinstance(words, str) or ERRORS.meaning(code, answer.status) is Meaning.CREDENTIALS:
            words = ""
        return Refusal(code, words, status=answer.status, retry_after_s=answer.retry_after_s)

    def results(self, said: dict[str, Any], calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Refusal]:
        """One page, one unit."""
        call, result = calls[0], member(said, "result")
        match call.feature:
            case Feature.TEXT:
                page = text_page(result, call.width, call.height)
            case Feature.TABLE:
                page = table_page(result, call.width, call.height)
            case Feature.ID_DOCUMENT:
                fields = fields_of(result, call.document or IdDocument.IDENTITY_CARD)
                page = Page(call.width, call.height, fields=fields)
        return [ProviderResult(page, 1.0)]
