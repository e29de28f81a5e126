"""Baidu's cloud OCR: text, tables and identity cards."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, ParamSpec, TypeVar
from urllib.parse import quote, urlsplit

from ocr_gateway.errors import (
    FieldInvalid,
    FormatUnsupported,
    ImageShapeUnsupported,
    ImageSideTooLong,
    ProviderNotConfigured,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderUnavailable,
)
from ocr_gateway.model import (
    Feature,
    FeatureSupport,
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
from ocr_gateway.providers.baidu.endpoints import (
    ENDPOINT_OPTION,
    ENDPOINTS,
    MEDIA_TYPES,
    MIN_SIDE_PX,
    OPTIONS_FIELD,
    Endpoint,
)
from ocr_gateway.providers.baidu.errors import Meaning, error_of, meaning_of
from ocr_gateway.providers.baidu.form import encode_form, is_upright, upright
from ocr_gateway.providers.baidu.json import parse_object
from ocr_gateway.providers.baidu.pages import page_of
from ocr_gateway.providers.baidu.token import BaiduToken
from ocr_gateway.providers.http import HttpAnswer, HttpClient, HttpFailure, OutgoingBody

CHINA_UTC_OFFSET_S = 8 * 3600
DEFAULT_QUOTAS: Mapping[Feature, Quota] = {
    Feature.TEXT: Quota(requests_per_second=50, max_concurrency=100, period_offset_s=CHINA_UTC_OFFSET_S),
    Feature.TABLE: Quota(requests_per_second=30, max_concurrency=60, period_offset_s=CHINA_UTC_OFFSET_S),
    Feature.ID_DOCUMENT: Quota(requests_per_second=20, max_concurrency=40, period_offset_s=CHINA_UTC_OFFSET_S),
}
TextEndpoint = Literal["general", "general_basic", "accurate", "accurate_basic"]

_ADAPTER_VERSION = 1
_PATH = "/rest/2.0/ocr/v1/"
_HEADERS = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
_LARGE_BYTES = 1024 * 1024
_CLOSE_S = 3.0
_MAX_WORDS = 200
_UNITS_PER_CALL = 1.0

P = ParamSpec("P")
ResultT = TypeVar("ResultT")


class BaiduProvider:
    """Text by ``text_endpoint`` (or by the option ``endpoint``), tables by ``table``, identity cards by ``idcard``.

    Each attempt makes one request to Baidu's OCR, never two: when Baidu refuses the token (codes 110, 111), a new one
    is fetched and the attempt ends in ``ProviderUnavailable`` with ``retry_after_s`` 0, so that the lane's next attempt
    goes through the rate limit. Requests for tokens are not attempts. An attempt fails after ``timeout_s``; before,
    it may wait as long again for a token, which ``until_ready`` keeps out of it.

    ``endpoint`` is Baidu's address, without a path. Options are those that Baidu documents for the endpoint. Keys that
    Baidu rejects are tried again after ``credentials_rest_s``; so is an endpoint that is not open to the keys. What
    is billed is an answer without an error, 1.0 each.

    ``http`` is opened and closed with the provider. ``clock`` counts monotonic seconds, ``wall_clock`` seconds of the
    epoch. ``missing_keys`` tells people what there is not where a key is None.
    """

    def __init__(
        self,
        name: str = "baidu",
        *,
        endpoint: str = "https://aip.baidubce.com",
        api_key: str | None,
        secret_key: str | None,
        missing_keys: str = "there is no API key or no secret key",
        http: HttpClient,
        quotas: Mapping[Feature, Quota] | None = None,
        prices: Mapping[Feature, float] | None = None,
        text_endpoint: TextEndpoint = "general",
        timeout_s: float = 10.0,
        credentials_rest_s: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        address = urlsplit(endpoint)
        if address.scheme not in ("http", "https") or not address.netloc or address.query or address.fragment:
            raise ValueError(f"endpoint must be an http or https address, not {endpoint!r}")
        if text_endpoint not in ENDPOINTS or ENDPOINTS[text_endpoint].feature is not Feature.TEXT:
            raise ValueError(
                f"text_endpoint must be general, general_basic, accurate or accurate_basic: {text_endpoint!r}"
            )
        self._address = endpoint.rstrip("/")
        self._http = http
        self._timeout_s = timeout_s
        self._rest_s = credentials_rest_s
        self._clock = clock
        self._wall_clock = wall_clock
        self._endpoints = {
            endpoint.feature: endpoint for endpoint in map(ENDPOINTS.__getitem__, (text_endpoint, "table", "idcard"))
        }
        self._description = _description(name, self._endpoints, {**DEFAULT_QUOTAS, **(quotas or {})}, prices or {})
        self._name = name
        self._model = f"{','.join(endpoint.name for endpoint in self._endpoints.values())}/v1"
        self._missing_keys = missing_keys
        self._token: BaiduToken | None = None
        if api_key and secret_key:
            self._token = BaiduToken(
                http,
                endpoint=self._address,
                api_key=api_key,
                secret_key=secret_key,
                provider=name,
                timeout_s=timeout_s,
                rest_s=credentials_rest_s,
                clock=clock,
            )
        self._shut: dict[str, tuple[float, Callable[[float], Exception]]] = {}
        self._calls: set[asyncio.Timeout] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._started = self._closed = False

    @property
    def description(self) -> ProviderDescription:
        """What never changes."""
        return self._description

    @property
    def status(self) -> ProviderStatus:
        """STARTING until the first fetch of a token ends; NOT_CONFIGURED without keys, or while Baidu rejects them."""
        if self._closed:
            return self._status(ProviderState.NOT_CONFIGURED, "it is closed")
        if self._token is None:
            return self._status(ProviderState.NOT_CONFIGURED, self._missing_keys)
        if rejection := self._token.rejection:
            return self._status(ProviderState.NOT_CONFIGURED, rejection)
        if not self._started or self._token.is_first_under_way:
            return self._status(ProviderState.STARTING, "a token is being asked for")
        return self._status(ProviderState.SERVING, self._token.failure)

    async def start(self) -> None:
        """Begins to fetch a token."""
        if self._closed or self._started:
            return
        await self._http.open()
        self._started = True
        if self._token is not None:
            self._token.prefetch()

    async def until_ready(self) -> None:
        """Returns when a call can be sent at once, which is nearly always at once.

        A call that waits for a token leaves later than its permit says, and after a wait all leave together: more in
        a second than the quota. So a lane awaits this before it takes a permit. Raises as ``recognize`` does; waits
        at most ``timeout_s``.
        """
        await self._token_holder().get()

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for an option, a value or a language that the call's endpoint does not have; and for an
        endpoint that only this call asks for, what Baidu said of it, for as long as it rests."""
        endpoint = self._endpoint_of(call)
        endpoint.form_of(call.languages, call.options)
        if not self._is_for_all(endpoint):
            self._check_open(endpoint)

    async def recognize(self, call: ProviderCall) -> ProviderResult:
        """Reads one image, in one request. Raises as the port says; what Baidu does not take is refused unsent."""
        endpoint = self._endpoint_of(call)
        form = endpoint.form_of(call.languages, call.options)
        _check_fit(call, endpoint)
        token_holder = self._token_holder()
        self._check_open(endpoint)
        async with self._under_way():
            body = OutgoingBody(call.unsent.content or await self._body(call, endpoint, form))
            call.unsent.content = b""
            token = await token_holder.get()
            url = f"{self._address}{_PATH}{endpoint.name}?access_token={quote(token, safe='')}"
            try:
                answer = await self._http.post(
                    url, headers=_HEADERS, body=body, begin=call.begin, timeout_s=self._timeout_s
                )
            except HttpFailure as failure:
                raise ProviderUnavailable(self._name, str(failure), may_be_billed=failure.may_have_been_sent) from None
            except Exception:
                call.unsent.content = body.unsent  # its turn has passed, and the next one is near
                raise
            page = await self._page(call, endpoint, answer, token)
        return ProviderResult(
            page=page[0],
            billed_units=page[1],
            raw_response=answer.body if call.include_raw_response else b"",
        )

    async def close(self) -> None:
        """Ends the calls under way; they get ``ProviderUnavailable``, and their connections are closed."""
        self._closed = True
        for call in self._calls:
            call.reschedule(asyncio.get_running_loop().time())
        if self._token is not None:
            await self._token.close()
        with contextlib.suppress(TimeoutError):  # what is left then encodes a form on a thread, and ends by itself
            async with asyncio.timeout(_CLOSE_S):
                await self._idle.wait()
        await self._http.close()

    def _status(self, state: ProviderState, detail: str) -> ProviderStatus:
        return ProviderStatus(state, model=self._model, detail=detail)

    def _token_holder(self) -> BaiduToken:
        if self._closed:
            raise ProviderUnavailable(self._name, "it is being stopped")
        if self._token is None:
            raise ProviderNotConfigured(self._name, self.status.detail)
        if not self._started:
            raise ProviderUnavailable(self._name, "it was not started")
        return self._token

    def _endpoint_of(self, call: ProviderCall) -> Endpoint:
        asked = call.options.get(ENDPOINT_OPTION)
        if asked is None:
            return self._endpoints[call.feature]
        able = [endpoint.name for endpoint in ENDPOINTS.values() if endpoint.feature is call.feature]
        if asked not in able:
            raise FieldInvalid(OPTIONS_FIELD, f"{ENDPOINT_OPTION} must be one of {', '.join(able)}, not {asked!r}")
        return ENDPOINTS[asked]

    def _is_for_all(self, endpoint: Endpoint) -> bool:
        """Whether it is the one that calls go to unless they ask for another: what it refuses, it refuses to all."""
        return endpoint is self._endpoints[endpoint.feature]

    def _check_open(self, endpoint: Endpoint) -> None:
        """Raises while it is known that calls of the endpoint are in vain."""
        if endpoint.name in self._shut:
            until, error_of_rest = self._shut[endpoint.name]
            rest_s = until - self._clock()
            if rest_s > 0:
                raise error_of_rest(rest_s)

    @asynccontextmanager
    async def _under_way(self) -> AsyncIterator[None]:
        """Lets ``close`` end what is in here."""
        self._idle.clear()
        try:
            async with asyncio.timeout(None) as call:
                self._calls.add(call)
                try:
                    yield
                finally:
                    self._calls.discard(call)
        except TimeoutError:
            raise ProviderUnavailable(self._name, "it is being stopped", may_be_billed=True) from None
        finally:
            if not self._calls:
                self._idle.set()

    async def _body(self, call: ProviderCall, endpoint: Endpoint, form: Mapping[str, str]) -> bytes:
        image = call.image
        if not is_upright(image):
            image = await asyncio.to_thread(upright, image)
        return await _off_loop(len(image), encode_form, image, form, endpoint.max_form_bytes)

    async def _page(self, call: ProviderCall, endpoint: Endpoint, answer: HttpAnswer, token: str) -> tuple[Page, float]:
        """The page and what it cost. Raises what Baidu's error code means, else what the HTTP status does."""
        try:
            said = await _off_loop(len(answer.body), parse_object, answer.body)
        except ValueError as error:
            self._check_status(answer, endpoint, token)
            raise ProviderUnavailable(
                self._name, f"malformed answer: {error}"[:_MAX_WORDS], may_be_billed=True
            ) from None
        if "error_code" in said:
            return self._page_of_error(call, endpoint, said, answer, token), 0.0
        self._check_status(answer, endpoint, token)
        try:
            page = await _off_loop(len(answer.body), page_of, said, endpoint.feature, call.width, call.height)
        except ValueError as error:
            raise ProviderUnavailable(
                self._name, f"malformed answer: {error}"[:_MAX_WORDS], may_be_billed=True
            ) from None
        self._token_holder().accepted()
        return page, 1.0

    def _page_of_error(
        self, call: ProviderCall, endpoint: Endpoint, said: Mapping[str, Any], answer: HttpAnswer, token: str
    ) -> Page:
        """An empty page where there is no such document on the image; raises what every other code means."""
        code, words = said["error_code"], str(said.get("error_msg", ""))[:_MAX_WORDS]
        number = int(code) if str(code).isascii() and str(code).isdigit() and len(str(code)) < 10 else 0
        detail = f"error {str(code)[:20]}, {words}"
        meaning = meaning_of(number)
        match meaning:
            case Meaning.NOTHING_HERE:
                return Page(call.width, call.height)
            case Meaning.TOKEN:
                raise self._refused_token(token, detail)
            case Meaning.CREDENTIALS:
                self._token_holder().rejected(f"Baidu rejects its API key or secret key: {detail}")
                raise ProviderNotConfigured(self._name, self.status.detail)
            case Meaning.ENDPOINT_CLOSED:
                raise self._shut_endpoint(endpoint, detail)
        error = error_of(
            meaning,
            detail,
            call,
            provider=self._name,
            epoch_s=self._wall_clock(),
            retry_after_s=answer.retry_after_s or None,
        )
        if isinstance(error, ProviderQuotaSpent) and not self._is_for_all(endpoint):
            raise self._shut_for(
                endpoint,
                error.opens_in_s,
                lambda rest_s: ProviderQuotaSpent(self._name, detail, retry_after_s=rest_s, for_all=False),
            )
        raise error

    def _check_status(self, answer: HttpAnswer, endpoint: Endpoint, token: str) -> None:
        """Raises what a status other than 2xx means, where the body does not say more."""
        status, detail = answer.status, f"HTTP {answer.status}"
        if 200 <= status < 300:
            return
        if status == 429:
            raise ProviderThrottled(self._name, detail, retry_after_s=answer.retry_after_s or None)
        if status in (401, 403):
            raise self._refused_token(token, detail)
        if status == 404:
            raise self._shut_endpoint(endpoint, f"{detail} at {self._address}")
        if status == 413:
            raise ImageShapeUnsupported("Baidu says: HTTP 413, too large")
        raise ProviderUnavailable(self._name, detail, retry_after_s=answer.retry_after_s or None)

    def _refused_token(self, token: str, detail: str) -> ProviderUnavailable | ProviderNotConfigured:
        holder = self._token_holder()
        holder.refused(token, detail)
        if holder.rejection:
            return ProviderNotConfigured(self._name, holder.rejection)
        return ProviderUnavailable(
            self._name, f"its token is refused, a new one is fetched: {detail}", retry_after_s=0.0
        )

    def _shut_endpoint(self, endpoint: Endpoint, detail: str) -> Exception:
        words, for_all = f"the endpoint {endpoint.name!r} is not open to its keys: {detail}", self._is_for_all(endpoint)
        return self._shut_for(
            endpoint, self._rest_s, lambda _: ProviderNotConfigured(self._name, words, for_all=for_all)
        )

    def _shut_for(self, endpoint: Endpoint, rest_s: float, error_of_rest: Callable[[float], Exception]) -> Exception:
        self._shut[endpoint.name] = (self._clock() + rest_s, error_of_rest)
        return error_of_rest(rest_s)


def _description(
    name: str, endpoints: Mapping[Feature, Endpoint], quotas: Mapping[Feature, Quota], prices: Mapping[Feature, float]
) -> ProviderDescription:
    return ProviderDescription(
        name=name,
        display_name="Baidu OCR",
        kind=ProviderKind.CLOUD,
        features={
            feature: FeatureSupport(
                limits=endpoint.limits,
                page_preference=PagePreference.UNTOUCHED,
                quota=quotas[feature],
                units_per_call=_UNITS_PER_CALL,
                price_per_unit=prices.get(feature, 0.0),
            )
            for feature, endpoint in endpoints.items()
        },
        languages=tuple(sorted(endpoints[Feature.TEXT].languages)),
        adapter_version=_ADAPTER_VERSION,
    )


def _check_fit(call: ProviderCall, endpoint: Endpoint) -> None:
    """Raises for an image that the endpoint does not take; its size in bytes is checked when it is encoded."""
    if call.media_type not in MEDIA_TYPES:
        raise FormatUnsupported(call.media_type, MEDIA_TYPES)
    shorter, longer = sorted((call.width, call.height))
    if longer > endpoint.max_side_px:
        raise ImageSideTooLong(value=longer, limit=endpoint.max_side_px)
    if shorter < MIN_SIDE_PX:
        raise ImageShapeUnsupported(f"its shorter side has {shorter} px, {MIN_SIDE_PX} are needed")


async def _off_loop(size: int, work: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
    """``work``, on a thread where there is more than a mebibyte of it."""
    if size <= _LARGE_BYTES:
        return work(*args, **kwargs)
    return await asyncio.to_thread(work, *args, **kwargs)
