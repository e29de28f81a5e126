"""Every code of every vendor's table of errors, said by its stand-in: what becomes of the call."""

from __future__ import annotations

from typing import Any

import pytest

from ocr_gateway.errors import (
    FieldInvalid,
    FormatUnsupported,
    ImageShapeUnsupported,
    ImageUndecodable,
    ProviderNotConfigured,
    ProviderQuotaSpent,
    ProviderThrottled,
    ProviderUnavailable,
)
from ocr_gateway.model import Page
from ocr_gateway.providers.base import Provider
from ocr_gateway.providers.catalogue import REMOTE_KINDS
from ocr_gateway.providers.remote.meanings import Meaning
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.verdicts import AdapterBug
from tests.contracts.remote_cases import CASES, RemoteCase
from tests.contracts.remote_desk import HEIGHT, WIDTH, Desk, StandIns, desk_of

EMPTY_PAGE = "an empty page"
OUTCOMES: dict[Meaning, str] = {
    Meaning.THROTTLED: ProviderThrottled.__name__,
    Meaning.TRANSIENT: ProviderUnavailable.__name__,
    Meaning.DAY_SPENT: ProviderQuotaSpent.__name__,
    Meaning.QUOTA_SPENT: ProviderQuotaSpent.__name__,
    Meaning.CREDENTIALS: ProviderNotConfigured.__name__,
    Meaning.NOT_OPEN: ProviderNotConfigured.__name__,
    Meaning.UNDECODABLE: ImageUndecodable.__name__,
    Meaning.FORMAT: FormatUnsupported.__name__,
    Meaning.TOO_LARGE: ImageShapeUnsupported.__name__,
    Meaning.SHAPE: ImageShapeUnsupported.__name__,
    Meaning.OPTION: FieldInvalid.__name__,
    Meaning.NOT_THIS_DOCUMENT: EMPTY_PAGE,
    Meaning.NOTHING_HERE: EMPTY_PAGE,
    Meaning.BUG: AdapterBug.__name__,
}
"""What a code of this meaning raises. A refused TOKEN depends on whether there can be another."""
LASTING = (Meaning.TOKEN, Meaning.CREDENTIALS, Meaning.NOT_OPEN)
"""They change what the provider does with the next call."""


def test_every_kind_of_provider_has_its_case() -> None:
    """So that none is left out of the behaviour suite."""
    assert {case.kind for case in CASES} == set(REMOTE_KINDS)


@pytest.mark.asyncio(loop_scope="package")
@pytest.mark.parametrize("case", [pytest.param(case, id=case.kind) for case in CASES])
async def test_every_code_becomes_the_error_that_its_meaning_says(case: RemoteCase, stand_ins: StandIns) -> None:
    """Said over a socket, in the shape in which the vendor says it; and so does every status without words."""
    stand_in = await stand_ins.of(case)
    said = sayings(case.build(stand_in.url))
    wrong = []
    while said:
        async with desk_of(case, stand_in) as desk:
            while said:
                settings, meaning = said.pop()
                await stand_in.configure(fresh=True, **settings)
                if (outcome := await outcome_of(desk)) != wanted(meaning, case):
                    wrong.append(f"{settings} ({meaning.value}): {outcome}")
                if meaning in LASTING:
                    break
        await stand_in.configure(fresh=True)
    assert wrong == []


def sayings(provider: Provider) -> list[tuple[dict[str, Any], Meaning]]:
    """Settings of a stand-in that make it say each code, and each status that means something, with the meaning."""
    assert isinstance(provider, RemoteProvider)
    errors = provider.dialect.errors
    codes = [(code.replace("*", "Anything"), meaning) for meaning, codes in errors.codes.items() for code in codes]
    statuses = sorted({400, 401, 402, 403, 404, 413, 415, 429, 500, 503, *errors.statuses})
    return [({"error_code": code}, meaning) for code, meaning in codes] + [
        ({"status": status}, errors.meaning("", status)) for status in statuses
    ]


async def outcome_of(desk: Desk) -> str:
    """What became of a call: an error's class, or what kind of page."""
    try:
        page = (await desk.provider.recognize(desk.call())).page
    except Exception as error:
        return type(error).__name__
    return EMPTY_PAGE if page == Page(WIDTH, HEIGHT) else "a page with something on it"


def wanted(meaning: Meaning, case: RemoteCase) -> str:
    """What a code of this meaning becomes."""
    if meaning is Meaning.TOKEN:
        return (ProviderUnavailable if case.fetches_token else ProviderNotConfigured).__name__
    return OUTCOMES[meaning]
