"""Pages are made for the provider that will read them: what it takes, and how it likes them."""

from __future__ import annotations

import io
from typing import Any

import cv2
import grpc
import numpy as np
import pytest
from PIL import Image, ImageDraw

from ocr_gateway import servicer as gateway_servicer
from ocr_gateway.model import Feature, ImageLimits, PagePreference, ProviderCall, ProviderState
from ocrmux.ocr.v1 import image_pb2, recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from tests.fakes.gateway_messages import image, outcome, reason_of, status_of
from tests.fakes.images import InkBox, encoded, page_with_ink, photo
from tests.fakes.preprocess_calls import answers_of, unary
from tests.fakes.preprocess_messages import config, source
from tests.fakes.preprocess_readers import FussyProvider
from tests.fakes.providers import ScriptedProvider
from tests.fakes.servers import RunningPair, running_gateway, running_pair


def opened(call: ProviderCall) -> Image.Image:
    """The image that a provider got, which is what its media type says."""
    made = Image.open(io.BytesIO(call.image))
    assert Image.MIME[made.format or ""] == call.media_type
    return made


def text_page(width: int = 900, height: int = 1200) -> Image.Image:
    """A page of coloured lines on yellowish, unevenly lit paper."""
    shade = np.linspace(150, 250, width, dtype=np.float32)[None, :].repeat(height, 0)
    paper = np.stack([shade, shade * 0.97, shade * 0.85], axis=-1).astype(np.uint8)
    picture = Image.fromarray(paper)
    pen = ImageDraw.Draw(picture)
    for row in range(60, height - 60, 60):
        for column in range(60, width - 120, 30):
            pen.rectangle((column, row, column + 4, row + 26), fill=(90, 20, 20))
            pen.rectangle((column, row, column + 18, row + 4), fill=(20, 20, 90))
    return picture


async def test_a_provider_gets_only_pages_that_fit_it() -> None:
    """A large colour photo, a thin strip and a long one: each call keeps to sides, aspect, bytes and format."""
    limits = ImageLimits(
        max_bytes=120_000, max_side_px=800, min_side_px=32, max_aspect=3.0, media_types=("image/jpeg",)
    )
    provider = FussyProvider(limits=limits)
    files = {
        "photo": encoded(photo(1500, 1100), "PNG"),
        "strip": encoded(page_with_ink(60, 20, InkBox(10, 5, 20, 10)), "PNG"),
        "long": encoded(page_with_ink(300, 2400, InkBox(20, 1200, 100, 20)), "PNG"),
    }
    async with running_pair(provider) as pair:
        answers = await answers_of(pair, [config(), *(source(name, content) for name, content in files.items())])
    assert {answer.request_id: outcome(answer) for answer in answers} == dict.fromkeys(files, "OK")
    assert len(provider.calls) > len(files)
    for call in provider.calls:
        short, long = sorted(opened(call).size)
        assert (call.media_type, long <= 800, short >= 32, long <= 3 * short) == ("image/jpeg", True, True, True)
        assert len(call.image) <= 120_000


@pytest.mark.parametrize("preference", list(PagePreference))
async def test_pages_are_made_to_the_readers_taste(preference: PagePreference) -> None:
    """A neural engine gets the page in colour as it came; Tesseract's kind gets grey of even light; the third, ink."""
    provider = FussyProvider(preference=preference)
    content = encoded(text_page(), "PNG")
    async with running_pair(provider) as pair:
        (answer,) = await answers_of(pair, [config(), source("a", content)])
    assert outcome(answer) == "OK"
    made = opened(provider.calls[0])
    if preference is PagePreference.UNTOUCHED:
        assert (provider.calls[0].image == content, list(answer.steps)) == (True, [])
        assert answer.HasField("measures")
        return
    assert made.mode in {"1", "L"}
    grey = np.asarray(made.convert("L"))
    paper = [np.percentile(part, 90) for part in (grey[:, :120], grey[:, -120:])]
    assert abs(float(paper[0]) - float(paper[1])) < 12, "the paper was not lit evenly"
    is_two_tone = set(np.unique(grey)) <= {0, 255}
    assert is_two_tone == (preference is PagePreference.BILEVEL)
    assert [step.name for step in answer.steps][-1] == "encode"


async def test_each_config_gets_pages_for_its_own_reader() -> None:
    """One file by two providers, side by side and again: each has its own page, and both are remembered."""
    colour = ScriptedProvider(name="colour")
    grey = FussyProvider(name="grey", preference=PagePreference.CLEANED_GREY)
    content = encoded(text_page(), "PNG")
    async with running_pair(colour, grey, gateway={"default_route": ("grey", "colour")}) as pair:
        for _ in range(2):
            for opening in (config(provider="colour"), config(provider="grey"), config(route="default"), config()):
                (answer,) = await answers_of(pair, [opening, source("a", content)])
                assert outcome(answer) == "OK"
    assert [opened(call).mode for call in colour.calls] == ["RGB"]
    assert [opened(call).mode for call in grey.calls] == ["L"]


async def test_the_first_configured_provider_of_the_route_counts() -> None:
    """One without credentials is passed over; the next one's limits hold."""
    absent = FussyProvider(name="absent", state=ProviderState.NOT_CONFIGURED, preference=PagePreference.CLEANED_GREY)
    there = FussyProvider(name="there", limits=ImageLimits(max_side_px=600))
    async with running_pair(absent, there, gateway={"default_route": ("absent", "there")}) as pair:
        (answer,) = await answers_of(pair, [config(), source("a", encoded(text_page(), "PNG"))])
    assert (outcome(answer), answer.provenance.provider) == ("OK", "there")
    assert {opened(call).mode for call in there.calls} == {"RGB"}
    assert max(max(opened(call).size) for call in there.calls) <= 600


async def test_a_page_for_several_features_fits_each() -> None:
    """Text and table of one provider with other limits are read from one page."""
    provider = FussyProvider(
        limits={Feature.TABLE: ImageLimits(max_side_px=1000), Feature.TEXT: ImageLimits(max_bytes=60_000)}
    )
    features = [recognition_pb2.FEATURE_TEXT, recognition_pb2.FEATURE_TABLE]
    async with running_pair(provider) as pair:
        (answer,) = await answers_of(pair, [config(features=features), source("a", encoded(photo(1400, 1000), "PNG"))])
    assert outcome(answer) == "OK"
    assert {call.feature for call in provider.calls} == {Feature.TEXT, Feature.TABLE}
    assert all(max(opened(call).size) <= 1000 and len(call.image) <= 60_000 for call in provider.calls)


async def test_what_cannot_be_fitted_to_is_refused_by_the_gateway() -> None:
    """An unknown provider or feature gets the gateway's own error, for its words are better."""
    async with running_pair(ScriptedProvider()) as pair:
        reasons = []
        for fields in ({"provider": "nobody"}, {"route": "nowhere"}, {"features": [recognition_pb2.FEATURE_TABLE]}):
            request = unary(image(1))
            request.recognition.CopyFrom(recognition_pb2.RecognitionConfig(**fields))
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await pair.stub.Recognize(request, timeout=60)
            reasons.append(reason_of(status_of(failed.value)))
    assert reasons == ["PROVIDER_UNKNOWN", "PROVIDER_UNKNOWN", "FEATURE_UNSUPPORTED_BY_PROVIDER"]


async def test_the_gateway_is_asked_once_for_many_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty items on ten streams at once cost one ListProviders."""
    asked = count_questions(monkeypatch)
    async with running_pair(ScriptedProvider()) as pair:
        for _ in range(10):
            answers = await answers_of(pair, [config(), *(source(str(i), image(i)) for i in range(5))])
            assert [outcome(answer) for answer in answers] == ["OK"] * 5
    assert len(asked) == 1


def count_questions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one with every ListProviders that a gateway of this process answers."""
    asked: list[str] = []
    answer = gateway_servicer.OcrGatewayServicer.ListProviders

    async def counted(self: Any, *args: Any) -> Any:
        asked.append("asked")
        return await answer(self, *args)

    monkeypatch.setattr(gateway_servicer.OcrGatewayServicer, "ListProviders", counted)
    return asked


def normalize(content: bytes, **config_fields: Any) -> preprocess_pb2.NormalizeRequest:
    """A file for Normalize."""
    return preprocess_pb2.NormalizeRequest(
        normalization=preprocess_pb2.NormalizationConfig(**config_fields),
        item=preprocess_pb2.SourceItem(image=image_pb2.ImagePayload(content=content)),
    )


async def streamed(pair: RunningPair, content: bytes, provider: str) -> list[preprocess_pb2.NormalizeAnswer]:
    """The answers of StreamNormalize for one file."""
    request = preprocess_pb2.StreamNormalizeRequest
    settings = preprocess_pb2.NormalizeStreamConfig(normalization=preprocess_pb2.NormalizationConfig(provider=provider))
    item = preprocess_pb2.SourceItem(request_id="a", image=image_pb2.ImagePayload(content=content))
    call = pair.stub.StreamNormalize(iter([request(config=settings), request(item=item)]), timeout=60)
    return [each.answer async for each in call if each.HasField("answer")]


async def test_normalize_makes_the_page_for_the_named_provider() -> None:
    """Its taste and its limits, in one image however tall; measures stand beside the steps; a wrong name is told."""
    limits = ImageLimits(max_side_px=1000, max_aspect=2.0)
    provider = FussyProvider(name="grey", preference=PagePreference.CLEANED_GREY, limits=limits)
    content = encoded(text_page(400, 2000), "PNG")
    async with running_pair(provider) as pair:
        made = (await pair.stub.Normalize(normalize(content, provider="grey"), timeout=60)).page
        plain = (await pair.stub.Normalize(normalize(content), timeout=60)).page
        (answer,) = await streamed(pair, content, "grey")
        for call in (
            pair.stub.Normalize(normalize(content, provider="nobody"), timeout=60),
            streamed(pair, content, "nobody"),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await call
            assert failed.value.code() is grpc.StatusCode.NOT_FOUND
            assert reason_of(status_of(failed.value)) == "PROVIDER_UNKNOWN"
    assert plain.content == content
    assert answer.page.content == made.content
    pixels = cv2.imdecode(np.frombuffer(made.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    assert (pixels.ndim, max(pixels.shape) <= 1000, max(pixels.shape) <= 2 * min(pixels.shape)) == (2, True, True)
    assert made.measures.HasField("contrast")
    assert (made.transform.source_size.width, made.transform.source_size.height) == (400, 2000)


async def test_normalising_for_nobody_needs_no_gateway() -> None:
    """Without a provider's name pages are made with the gateway away; with one it is needed once."""
    async with running_gateway(ScriptedProvider()) as gone:
        address = gone.server.address
    settings: dict[str, Any] = {"gateway_target": address, "gateway_connect_timeout_s": 0.5, "gateway_retry_s": 0.1}
    async with running_pair(ScriptedProvider(), **settings) as pair:
        response = await pair.stub.Normalize(normalize(image(1), profile="none"), timeout=60)
        assert response.page.content == image(1)
        with pytest.raises(grpc.aio.AioRpcError) as failed:
            await pair.stub.Normalize(normalize(image(1), provider="scripted"), timeout=60)
    assert reason_of(status_of(failed.value)) == "GATEWAY_UNAVAILABLE"


async def test_a_gateway_that_comes_back_with_tighter_limits_is_asked_anew() -> None:
    """The first page of a new stream fits the limits that hold now, though the old ones were told a moment ago."""
    content = encoded(page_with_ink(800, 1000, InkBox(40, 60, 200, 30)), "PNG")
    free, tight = FussyProvider(), FussyProvider(limits=ImageLimits(max_side_px=400, max_aspect=1.5))
    async with running_pair(free) as pair:
        (before,) = await answers_of(pair, [config(profile="none"), source("a", content)])
        address = pair.gateway.server.address
        await pair.gateway.server.stop(5)
        async with running_gateway(tight, listen=address):
            after = await answers_of(pair, [config(profile="none"), *(source(name, content) for name in "bc")])
    assert [outcome(answer) for answer in (before, *after)] == ["OK"] * 3
    assert [(call.width, call.height) for call in free.calls] == [(800, 1000)]
    assert all(max(call.width, call.height) <= 400 for call in tight.calls)


async def test_what_the_gateway_said_last_counts_while_it_is_away() -> None:
    """A page is still made for a provider whose gateway has gone since."""
    provider = FussyProvider(name="grey", preference=PagePreference.CLEANED_GREY)
    content = encoded(text_page(), "PNG")
    async with running_pair(provider, gateway_connect_timeout_s=0.5, gateway_retry_s=0.1) as pair:
        before = await pair.stub.Normalize(normalize(content, provider="grey"), timeout=60)
        await pair.gateway.server.stop(5)
        after = await pair.stub.Normalize(normalize(content, provider="grey"), timeout=60)
    assert after.page.content == before.page.content != content
