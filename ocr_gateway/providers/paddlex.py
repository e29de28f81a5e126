"""PaddleX serving: the OCR pipeline of a server of one's own (``paddlex --serve --pipeline OCR``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import Field

from ocr_gateway.errors import FieldInvalid
from ocr_gateway.model import (
    Block,
    Feature,
    ImageLimits,
    Line,
    Page,
    Polygon,
    ProviderCall,
    ProviderDescription,
    ProviderKind,
    ProviderResult,
)
from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.building import remote_provider
from ocr_gateway.providers.remote.choices import is_among
from ocr_gateway.providers.remote.dialect import LANGUAGES_FIELD, OPTIONS_FIELD, Dialect, Request, status_refusal
from ocr_gateway.providers.remote.json_body import image_mark, json_with_images
from ocr_gateway.providers.remote.meanings import ErrorTable, Meaning, Refusal
from ocr_gateway.providers.remote.places import ordered
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.self_hosted import READABLE, SelfHostedSettings
from ocr_gateway.providers.remote.settings import RemoteFeature
from ocr_gateway.providers.remote.values import array, confidence, member, number, text
from rpc_runtime.settings import SettingsSection

_PATH = "/ocr"
_IMAGE = 1
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
_LANGUAGES = ("zh", "en")
"""Of the default models of PP-OCR; ``languages`` of the settings says what other models read."""
_SHARES = ("textRecScoreThresh", "textDetThresh", "textDetBoxThresh")
_MAX_ERROR_WORDS = 200

ERRORS = ErrorTable(
    {
        Meaning.UNDECODABLE: ("422",),
        Meaning.OPTION: ("400",),
        Meaning.TRANSIENT: ("500", "502", "503", "504"),
    }
)
"""``errorCode`` is the HTTP status; 422 is what its parser of requests and its image decoder answer."""


class PaddlexFeatures(SettingsSection):
    """The features of a server."""

    text: RemoteFeature = Field(default_factory=RemoteFeature, description="Lines of text.")


class PaddlexSettings(SelfHostedSettings):
    """A PaddleX server with the pipeline OCR."""

    kind: Literal["paddlex"] = Field(default="paddlex", description="Which program it is.")
    endpoint: str = Field(description="Its scheme, host and port.")
    model: str = Field(default="PP-OCR", min_length=1, description="What it runs, for the cache: change it with it.")
    languages: tuple[str, ...] = Field(default=_LANGUAGES, min_length=1, description="What its models read, BCP 47.")
    timeout_s: float = Field(default=30.0, gt=0, description="Of one attempt.")
    features: PaddlexFeatures = Field(description="What it reads.")


def build_paddlex(name: str, settings: PaddlexSettings) -> RemoteProvider:
    """The provider."""
    return remote_provider(PaddlexDialect(name, settings), settings)


class PaddlexDialect(Dialect):
    """One request an image. The server neither turns nor flattens the page, since its places would then be those of
    another image than the one that was sent.

    Options: ``textRecScoreThresh``, ``textDetThresh``, ``textDetBoxThresh``, each 0..1.
    """

    errors = ERRORS

    def __init__(self, name: str, settings: PaddlexSettings) -> None:
        self._url = f"{settings.endpoint}{_PATH}"
        self._model = settings.model
        self._languages = settings.languages
        self._description = ProviderDescription(
            name=name,
            display_name="PaddleX serving",
            kind=ProviderKind.SELF_HOSTED,
            features={Feature.TEXT: settings.features.text.support(ImageLimits(media_types=READABLE), mosaic=True)},
            languages=settings.languages,
        )

    @property
    def model(self) -> str:
        """As the settings name it."""
        return self._model

    def check(self, call: ProviderCall) -> None:
        """Raises FieldInvalid for a language that its models do not read, and for an option that it does not know."""
        for language in call.languages:
            if not is_among(language, self._languages):
                known = ", ".join(self._languages)
                raise FieldInvalid(LANGUAGES_FIELD, f"{language!r} is not read; its models read {known}")
        for name, value in call.options.items():
            if name not in _SHARES:
                raise FieldInvalid(OPTIONS_FIELD, f"there is no option {name!r}; there are {', '.join(_SHARES)}")
            _share(name, value)

    def action(self, call: ProviderCall) -> str:  # noqa: ARG002 - there is one
        """The one that there is."""
        return _PATH

    def body(self, calls: Sequence[ProviderCall]) -> bytes:
        """JSON with the image in base64."""
        call = calls[0]
        said = {
            "file": image_mark(),
            "fileType": _IMAGE,
            "useDocOrientationClassify": False,
            "useDocUnwarping": False,
            "visualize": False,
            **{name: _share(name, value) for name, value in call.options.items()},
        }
        return json_with_images(said, call.image)

    def request(self, calls: Sequence[ProviderCall], sha256: str, access: str, now: float) -> Request:  # noqa: ARG002
        """A POST of JSON."""
        return Request("POST", self._url, _HEADERS)

    def refusal(self, answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
        """``errorCode`` other than 0, which is the status too."""
        if said is None or not said.get("errorCode"):
            return status_refusal(answer)
        words = str(said.get("errorMsg", ""))[:_MAX_ERROR_WORDS]
        return Refusal(str(said["errorCode"]), words, status=answer.status, retry_after_s=answer.retry_after_s)

    def results(self, said: dict[str, Any], calls: Sequence[ProviderCall]) -> Sequence[ProviderResult | Refusal]:
        """The one page, its lines in the order in which the server gives them."""
        call = calls[0]
        pages = array(member(member(said, "result"), "ocrResults"), "ocrResults")
        if len(pages) != 1:
            raise ValueError(f"{len(pages)} pages for one image")
        pruned = member(pages[0], "prunedResult")
        texts = array(member(pruned, "rec_texts"), "rec_texts")
        scores, places = (
            array(member(pruned, "rec_scores"), "rec_scores"),
            array(member(pruned, "rec_polys"), "rec_polys"),
        )
        if not len(texts) == len(scores) == len(places):
            raise ValueError(f"{len(texts)} texts, {len(scores)} scores and {len(places)} polygons")
        lines = tuple(
            Line(text(words, "rec_texts"), confidence(score), _polygon(place))
            for words, score, place in zip(texts, scores, places, strict=True)
        )
        page = Page(call.width, call.height, blocks=(Block(lines),) if lines else ())
        return [ProviderResult(page, billed_units=1.0)]


def _share(name: str, value: str) -> float:
    try:
        share = float(value)
    except ValueError:
        share = -1.0
    if not 0.0 <= share <= 1.0:
        raise FieldInvalid(OPTIONS_FIELD, f"{name} must be a number from 0 to 1, not {value!r}")
    return share


def _polygon(said: Any) -> Polygon | None:
    """Four points; of more, or fewer, the box round them, as a curved line has."""
    points = [(number(_at(point, 0), "x"), number(_at(point, 1), "y")) for point in array(said, "rec_polys")]
    if len(points) == 4:
        return ordered(points, 0)
    if len(points) < 3:
        return None
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return ((min(xs), min(ys)), (max(xs), min(ys)), (max(xs), max(ys)), (min(xs), max(ys)))


def _at(point: Any, place: int) -> Any:
    pair = array(point, "a point")
    if len(pair) != 2:
        raise ValueError(f"a point of {len(pair)} numbers")
    return pair[place]
