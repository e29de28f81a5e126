"""Alibaba's API, in terms of the common base."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ocr_gateway.errors import ImageTooLargeBytes
from ocr_gateway.model import Feature, IdDocument, Page, ProviderCall, ProviderDescription, ProviderResult
from ocr_gateway.providers.alibaba.actions import LIMITS, TABLE_ACTION, action_of
from ocr_gateway.providers.alibaba.errors import ERRORS
from ocr_gateway.providers.alibaba.pages import table_page, text_page
from ocr_gateway.providers.alibaba.papers import fields_of
from ocr_gateway.providers.alibaba.signing import acs_date, authorization, encoded_query
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.address import host_of
from ocr_gateway.providers.remote.dialect import Dialect, Request, status_refusal
from ocr_gateway.providers.remote.meanings import Meaning, Refusal
from ocr_gateway.providers.remote.values import member, parse_object

VERSION = "2021-07-07"
_GOOD_CODE = "200"


def _nonce() -> str:
    return secrets.token_hex(16)


class AlibabaDialect(Dialect):
    """The image as it is over POST, options in the query, signed by ACS3. What was read is JSON in a text in JSON."""

    errors = ERRORS
    signs_body = True

    def __init__(
        self,
        description: ProviderDescription,
        *,
        endpoint: str,
        text_action: str,
        access_key_id: str,
        access_key_secret: str,
        security_token: str | None = None,
        nonce: Callable[[], str] = _nonce,
    ) -> None:
        self._description = description
        self._endpoint = endpoint
        self._host = host_of(endpoint)
        self._text_action = text_action
        self._access_key_id = access_key_id
        self._access_key_secret = access_key_secret
        self._security_token = security_token
        self._nonce = nonce

    @property
    def model(self) -> str:
        """The API's version, and the actions for text and tables."""
        return f"{self._text_action},{TABLE_ACTION}/{VERSION}"

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for what the call's action does not have."""
        action_of(call, self._text_action).query(call)

    def action(self, call: ProviderCall) -> str:
        """RecognizeGeneral and the like."""
        return action_of(call, self._text_action).name

    def body(self, calls: Sequence[ProviderCall]) -> bytes:
        """The image. Raises ImageTooLargeBytes, as one that was turned may have grown."""
        image = calls[0].image
        if len(image) > LIMITS.max_bytes:
            raise ImageTooLargeBytes(value=len(image), limit=LIMITS.max_bytes)
        return image

    def request(self, calls: Sequence[ProviderCall], sha256: str, access: str, now: float) -> Request:  # noqa: ARG002
        """Signed for this second, with a nonce of its own; Alibaba takes it once, within a quarter of an hour."""
        action = action_of(calls[0], self._text_action)
        query = encoded_query(action.query(calls[0]))
        headers = {
            "Content-Type": "application/octet-stream",
            "Host": self._host,
            "x-acs-action": action.name,
            "x-acs-content-sha256": sha256,
            "x-acs-date": acs_date(now),
            "x-acs-signature-nonce": self._nonce(),
            "x-acs-version": VERSION,
        }
        if self._security_token:
            headers["x-acs-accesskey-id"] = self._access_key_id
            headers["x-acs-security-token"] = self._security_token
        signed = authorization(self._access_key_id, self._access_key_secret, headers=headers, query=query)
        unsigned = {"Accept": "application/json", "Authorization": signed}
        return Request("POST", f"{self._endpoint}/{'?' if query else ''}{query}", {**headers, **unsigned})

    def refusal(self, answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
        """``Code``, which a good answer does not have, or as 200. What is said of rejected keys is left out: it quotes
        what was signed."""
        code = said.get("Code") if said else None
        if not isinstance(code, str) or code in ("", _GOOD_CODE):
            return status_refusal(answer)
        words = said.get("Message") if said else None
        if not isinstance(words, str) or ERRORS.meaning(code, answer.status) is Meaning.CREDENTIALS:
            words = ""
        return Refusal(code, words, status=answer.status, retry_after_s=answer.retry_after_s)

    def results(self, said: dict[str, Any], calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Refusal]:
        """One page, one unit."""
        call, data = calls[0], member(said, "Data")
        if isinstance(data, str):
            data = parse_object(data.encode("utf-8", "surrogatepass"))
        if not isinstance(data, dict):
            raise ValueError("Data is neither a text nor an object")
        match call.feature:
            case Feature.TEXT:
                page = text_page(data, call.width, call.height)
            case Feature.TABLE:
                page = table_page(data, call.width, call.height)
            case Feature.ID_DOCUMENT:
                document = call.document or IdDocument.IDENTITY_CARD
                fields = fields_of(data, document, call.width, call.height)
                page = Page(call.width, call.height, fields=fields)
        return [ProviderResult(page, 1.0)]
