"""Alibaba's actions: what each takes, and what a call becomes in its words.

Sources: the service model of the vendor's SDK, and its page on each action. MB is read as 10^6, the smaller meaning.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ocr_gateway.model import Feature, IdDocument, ImageLimits, ProviderCall
from ocr_gateway.providers.remote.choices import SWITCH, asked_action, asked_document, chosen_options, language_codes

ACTION_OPTION = "action"
TEXT_ACTIONS = ("RecognizeGeneral", "RecognizeAdvanced")
TABLE_ACTION = "RecognizeTableOcr"
LIMITS = ImageLimits(
    max_bytes=10_000_000,  # the body is the image as it is
    max_side_px=8192,
    min_side_px=15,
    max_aspect=49.9,  # "less than 50"
    media_types=("image/jpeg", "image/png", "image/bmp", "image/tiff", "image/webp"),
)
LANGUAGES: Mapping[str, str] = {"zh": "", "en": ""}


@dataclass(frozen=True, slots=True)
class Action:
    """One of Alibaba's OCR services."""

    name: str
    options: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def query(self, call: ProviderCall) -> dict[str, str]:
        """The request's query.

        Raises FieldInvalid for an option or a value that the action does not have, and for a language that it does not
        read.
        """
        whose = f"Alibaba's {self.name}"
        language_codes(call.languages, LANGUAGES, whose)
        chosen = chosen_options(call.options, self.options, whose)
        return {name: value for name, value in chosen.items() if name != ACTION_OPTION}


def _switches(*names: str) -> dict[str, tuple[str, ...]]:
    return dict.fromkeys(names, SWITCH)


_ALL = (
    Action("RecognizeGeneral", {ACTION_OPTION: TEXT_ACTIONS}),
    Action(
        "RecognizeAdvanced",
        {
            ACTION_OPTION: TEXT_ACTIONS,
            **_switches(
                "NeedRotate", "NeedSortPage", "NoStamp", "OutputCharInfo", "OutputFigure", "OutputTable", "Paragraph",
                "Row",
            ),
        },
    ),
    Action(TABLE_ACTION, _switches("NeedRotate", "LineLess", "SkipDetection", "IsHandWriting")),
    Action("RecognizeIdcard", _switches("OutputFigure", "OutputQualityInfo", "Llm_rec")),
    Action("RecognizeBusinessLicense"),
    Action("RecognizeBankCard"),
)  # fmt: skip
ACTIONS: Mapping[str, Action] = {action.name: action for action in _ALL}
DOCUMENT_ACTIONS: Mapping[IdDocument, str] = {
    IdDocument.IDENTITY_CARD: "RecognizeIdcard",
    IdDocument.BUSINESS_LICENCE: "RecognizeBusinessLicense",
    IdDocument.BANK_CARD: "RecognizeBankCard",
}


def action_of(call: ProviderCall, text_action: str) -> Action:
    """The action that a call asks for; ``text_action`` where it names none.

    Raises FieldInvalid for an action that there is not, and for a document that Alibaba is not asked for.
    """
    match call.feature:
        case Feature.TEXT:
            name = asked_action(call, ACTION_OPTION, text_action, TEXT_ACTIONS)
        case Feature.TABLE:
            name = TABLE_ACTION
        case Feature.ID_DOCUMENT:
            name = DOCUMENT_ACTIONS[asked_document(call, DOCUMENT_ACTIONS)]
    return ACTIONS[name]
