"""Google Cloud Vision: ``images:annotate`` and the token endpoint of service accounts."""

from __future__ import annotations

import asyncio
import json
import re
import struct
import time
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from tests.fakes.standin.images import check_image
from tests.fakes.standin.json_call import read_base64, read_json
from tests.fakes.standin.server import StandIn, image_error, reset
from tests.fakes.standin.settings import StandInSettings
from tests.fakes.standin.texts import confidence_of, text_of
from tests.fakes.standin.vendor import Asked, Denied, Handler, Head, Reply, Vendor
from tests.fakes.standin.vendors.google_tokens import SERVICE_AUDIENCE, TOKEN_AUDIENCE, claims_of

MAX_JSON_BYTES = 10 * 1024 * 1024
_ANNOTATE = "/v1/images:annotate"
_TYPES = {"TEXT_DETECTION": 5, "DOCUMENT_TEXT_DETECTION": 11}
_STATUSES = {
    "INVALID_ARGUMENT": 400, "FAILED_PRECONDITION": 400, "OUT_OF_RANGE": 400, "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403, "NOT_FOUND": 404, "ALREADY_EXISTS": 409, "ABORTED": 409, "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499, "INTERNAL": 500, "UNKNOWN": 500, "DATA_LOSS": 500, "UNIMPLEMENTED": 501, "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}  # fmt: skip
# google.api.ErrorReason: the status in which each comes, where it is not PERMISSION_DENIED.
_REASONS = {
    "API_KEY_INVALID": "INVALID_ARGUMENT", "CREDENTIALS_MISSING": "UNAUTHENTICATED", "JWT_TOKEN_INVALID":
    "UNAUTHENTICATED", "ACCESS_TOKEN_EXPIRED": "UNAUTHENTICATED", "ACCESS_TOKEN_TYPE_UNSUPPORTED": "UNAUTHENTICATED",
    "RATE_LIMIT_EXCEEDED": "RESOURCE_EXHAUSTED", "RESOURCE_QUOTA_EXCEEDED": "RESOURCE_EXHAUSTED",
    "LOCATION_POLICY_VIOLATED": "FAILED_PRECONDITION",
}  # fmt: skip
_CONTEXT = {"languageHints", "textDetectionParams"}
_PARAMS = {"enableTextDetectionConfidenceScore", "advancedOcrOptions"}
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_LEFT, _TOP, _ADVANCE, _HEIGHT, _PITCH = 20, 30, 12, 28, 44


class Google(Vendor):
    """Keys in a header or in the address, tokens of service accounts; up to 16 images, each with its own error.

    ``settings.secret_key`` may hold the public part of a service account's key, in PEM.
    """

    name = "google"
    quotas = {"images:annotate": 30}
    codes = {
        "throttled": "RESOURCE_EXHAUSTED",
        "transient": "UNAVAILABLE",
        "quota_spent": "RESOURCE_QUOTA_EXCEEDED",
        "token_invalid": "UNAUTHENTICATED",
        "token_expired": "ACCESS_TOKEN_EXPIRED",
        "credentials": "API_KEY_INVALID",
        "not_open": "NOT_FOUND",
        "undecodable": "3",
        "option": "INVALID_ARGUMENT",
    }
    paths = (_ANNOTATE,)

    def __init__(self) -> None:
        self._granted: dict[str, float] = {}
        self._void_before = 0.0

    def action(self, head: Head) -> str:
        return "images:annotate"

    def admit(self, head: Head, settings: StandInSettings, now: float) -> str:
        scheme, _, token = head.headers.get("authorization", "").partition(" ")
        if scheme == "Bearer":
            return self._token_code(token, settings, now)
        key = head.headers.get("x-goog-api-key") or head.query.get("key")
        if key is None:
            return "PERMISSION_DENIED"
        return "" if key == settings.api_key else "API_KEY_INVALID"

    def _token_code(self, token: str, settings: StandInSettings, now: float) -> str:
        if token in self._granted:
            return "" if now < self._granted[token] else "ACCESS_TOKEN_EXPIRED"
        try:
            claims = claims_of(token, settings.secret_key, SERVICE_AUDIENCE, time.time() + settings.clock_offset_s)
        except ValueError:
            return "UNAUTHENTICATED"
        is_whole = claims.get("iss") == claims.get("sub") and claims["iat"] > self._void_before - 1
        return "" if is_whole else "UNAUTHENTICATED"

    def read(self, head: Head, body: bytes, settings: StandInSettings, epoch_s: float) -> Asked:
        if len(body) > MAX_JSON_BYTES:
            raise Denied("INVALID_ARGUMENT", f"Request payload size exceeds the limit: {MAX_JSON_BYTES} bytes.")
        said = read_json(head, body, code="INVALID_ARGUMENT")
        _only(said, {"requests", "parent"})
        asked = said.get("requests")
        if not isinstance(asked, list) or not 1 <= len(asked) <= 16:
            raise Denied("INVALID_ARGUMENT", "Too many images per request." if asked else "requests")
        read = [_read_one(each) for each in asked]
        images = tuple(image for image, _ in read)
        faults = [_fault(image, settings) for image in images]
        if len(images) == 1 and faults[0]:
            raise Denied(faults[0], "Bad image data.")
        options = {"faults": faults, "confidences": [sure for _, sure in read], "extents": [*map(_extent, images)]}
        return Asked("images:annotate", images, options)

    def answer(self, asked: Asked, digests: Sequence[str], settings: StandInSettings) -> Reply:
        faults, sure, extents = (asked.options[name] for name in ("faults", "confidences", "extents"))
        responses = [
            self._response(digest, faults[place], sure[place], extents[place], settings)
            for place, digest in enumerate(digests)
        ]
        return Reply({"responses": responses})

    def _response(
        self, digest: str, fault: str, sure: bool, extent: tuple[int, int], settings: StandInSettings
    ) -> dict[str, Any]:
        code = image_error(digest, settings) or fault
        if code:
            return {"error": {"code": int(self.codes.get(code, code)), "message": "Bad image data."}}
        return annotation(digest, settings, sure=sure, extent=extent) if settings.lines else {}

    def error(self, code: str, message: str) -> Reply:
        if code.isdigit():
            return Reply({"responses": [{"error": {"code": int(code), "message": message}}]})
        is_reason = code not in _STATUSES
        status = _REASONS.get(code, "PERMISSION_DENIED") if is_reason else code
        said: dict[str, Any] = {"code": _STATUSES[status], "message": message, "status": status}
        if is_reason:
            said["details"] = [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": code,
                    "domain": "googleapis.com",
                    "metadata": {"service": "vision.googleapis.com"},
                }
            ]
        return Reply({"error": said}, _STATUSES[status])

    def expire_tokens(self) -> None:
        self._granted = dict.fromkeys(self._granted, 0.0)
        self._void_before = time.time()

    def routes(self, stand_in: StandIn) -> Sequence[tuple[str, str, Handler]]:
        async def token(request: web.Request) -> web.StreamResponse:
            return await self._token(request, stand_in)

        return (("POST", "/token", token),)

    async def _token(self, request: web.Request, stand_in: StandIn) -> web.StreamResponse:
        settings, ledger = stand_in.settings, stand_in.ledger
        ledger.token_requests += 1
        if settings.down:
            return reset(request)
        form = await request.post()
        if settings.token_latency_s:
            await asyncio.sleep(settings.token_latency_s)
        if settings.token_status:
            return web.Response(status=settings.token_status, text="out of order")
        if form.get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer":
            return _refused("unsupported_grant_type", "Invalid grant_type")
        try:
            now = time.time() + settings.clock_offset_s
            claims = claims_of(str(form.get("assertion", "")), settings.secret_key, TOKEN_AUDIENCE, now)
        except ValueError as fault:
            return _refused("invalid_grant", str(fault))
        if "https://www.googleapis.com/auth/cloud-vision" not in str(claims.get("scope")).split():
            return _refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
        ledger.tokens_issued += 1
        granted = f"ya29.c.made-up-{len(self._granted):06d}"
        lifetime_s = min(settings.token_lifetime_s, 3599)
        self._granted[granted] = time.monotonic() + lifetime_s
        return web.json_response({"access_token": granted, "expires_in": lifetime_s, "token_type": "Bearer"})


def annotation(digest: str, settings: StandInSettings, *, sure: bool, extent: tuple[int, int]) -> dict[str, Any]:
    """One image's answer: a paragraph of lines of words of symbols. Zeros are left out, as protocol buffers do it."""
    said = {"confidence": confidence_of(digest, settings)} if sure else {}
    lines = [text_of(digest, number) for number in range(settings.lines)]
    words: list[dict[str, Any]] = []
    for number, line in enumerate(lines):
        column = 0
        for word in (parts := line.split(" ")):
            place = (_LEFT + column * _ADVANCE, _TOP + number * _PITCH)
            ends = "SPACE"
            if word is parts[-1]:
                ends = "LINE_BREAK" if number == len(lines) - 1 else "EOL_SURE_SPACE"
            words.append(_word(word, place, ends, said))
            column += len(word) + 1
    whole = _box(0, 0, _LEFT + max(map(len, lines)) * _ADVANCE, _TOP + len(lines) * _PITCH)
    paragraph = {"boundingBox": whole, "words": words, **said}
    page = {
        "property": {"detectedLanguages": [{"languageCode": "en", "confidence": 0.9}]},
        **{name: pixels for name, pixels in zip(("width", "height"), extent, strict=True) if pixels},
        "blocks": [{"boundingBox": whole, "paragraphs": [paragraph], "blockType": "TEXT", **said}],
        **said,
    }
    text = "\n".join(lines)
    return {
        "textAnnotations": [
            {"locale": "en", "description": text, "boundingPoly": whole},
            *({"description": _spelt(word), "boundingPoly": word["boundingBox"]} for word in words),
        ],
        "fullTextAnnotation": {"pages": [page], "text": text},
    }


def _word(word: str, place: tuple[int, int], ends: str, said: Mapping[str, Any]) -> dict[str, Any]:
    left, top = place
    symbols: list[dict[str, Any]] = [
        {"boundingBox": _box(left + at * _ADVANCE, top, _ADVANCE, _HEIGHT), "text": each, **said}
        for at, each in enumerate(word)
    ]
    symbols[-1]["property"] = {"detectedBreak": {"type": ends}}
    return {"boundingBox": _box(left, top, len(word) * _ADVANCE, _HEIGHT), "symbols": symbols, **said}


def _spelt(word: Mapping[str, Any]) -> str:
    return "".join(symbol["text"] for symbol in word["symbols"])


def _box(left: int, top: int, width: int, height: int) -> dict[str, Any]:
    right, bottom = left + width, top + height
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return {"vertices": [{name: at for name, at in (("x", x), ("y", y)) if at} for x, y in corners]}


def _read_one(said: Any) -> tuple[bytes, bool]:
    """An image, and whether its answer has confidences."""
    _only(said, {"image", "features", "imageContext"})
    image, features = said.get("image"), said.get("features")
    _only(image, {"content"})
    content = read_base64(image.get("content"), code="INVALID_ARGUMENT")
    if not isinstance(features, list) or len(features) != 1:
        raise Denied("INVALID_ARGUMENT", "one feature is asked for here")
    _only(features[0], {"type", "model", "maxResults"})
    kind = features[0].get("type")
    kind = next((number for name, number in _TYPES.items() if kind in (name, number)), None)
    if kind is None:
        raise Denied("INVALID_ARGUMENT", "Invalid value at 'requests[0].features[0].type'")
    if features[0].get("model", "builtin/stable") not in ("builtin/stable", "builtin/latest", "builtin/weekly"):
        raise Denied("INVALID_ARGUMENT", "Unsupported model")
    context = said.get("imageContext", {})
    _only(context, _CONTEXT)
    hints, params = context.get("languageHints", []), context.get("textDetectionParams", {})
    if not isinstance(hints, list) or not all(isinstance(each, str) and _LANGUAGE.fullmatch(each) for each in hints):
        raise Denied("INVALID_ARGUMENT", "Invalid language hint")
    _only(params, _PARAMS)
    flag = params.get("enableTextDetectionConfidenceScore", False)
    if not isinstance(flag, bool) or any(each != "legacy_layout" for each in params.get("advancedOcrOptions", [])):
        raise Denied("INVALID_ARGUMENT", "textDetectionParams")
    return content, flag or kind == _TYPES["DOCUMENT_TEXT_DETECTION"]


def _only(said: Any, known: set[str]) -> None:
    """As Google's JSON reader: no other members."""
    if not isinstance(said, dict):
        raise Denied("INVALID_ARGUMENT", "Invalid JSON payload received.")
    if unknown := sorted(set(said) - known):
        raise Denied("INVALID_ARGUMENT", f"Invalid JSON payload received. Unknown name {json.dumps(unknown[0])}")


def _fault(image: bytes, settings: StandInSettings) -> str:
    try:
        check_image(image, whole=settings.whole_images)
    except Denied:
        return "3"
    return ""


def _extent(image: bytes) -> tuple[int, int]:
    """Of a PNG; nothing for others, which the answer then leaves out."""
    if image.startswith(b"\x89PNG\r\n\x1a\n") and len(image) >= 24:
        width, height = struct.unpack(">II", image[16:24])
        return width, height
    return 0, 0


def _refused(error: str, description: str) -> web.StreamResponse:
    return web.json_response({"error": error, "error_description": description}, status=400)
