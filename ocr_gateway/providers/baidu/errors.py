"""What Baidu's error codes mean. They come with HTTP 200, in ``error_code``.

Source: the vendor's list of error codes for OCR; those marked "not confirmed" are from memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ocr_gateway.providers.http import HttpAnswer
from ocr_gateway.providers.remote.dialect import status_refusal
from ocr_gateway.providers.remote.meanings import ErrorTable, Meaning, Refusal

_MAX_WORDS = 200
_MAX_CODE = 20

ERRORS = ErrorTable(
    {
        Meaning.THROTTLED: ("4", "18"),
        # 282110 to 282114 concern addresses of images, which are never sent; 282808 to 282810 the request's id.
        Meaning.TRANSIENT: ("1", "2", "216630", "216634", "282000", "282808", "282809", "282810"),
        Meaning.DAY_SPENT: ("17",),
        Meaning.QUOTA_SPENT: ("19",),
        Meaning.TOKEN: ("100", "110", "111"),
        Meaning.CREDENTIALS: ("14",),
        Meaning.NOT_OPEN: ("3", "6", "216102", "216110"),
        Meaning.OPTION: ("216100", "216101", "216103", "282003"),  # the last one not confirmed
        Meaning.UNDECODABLE: ("216200", "216201"),
        Meaning.SHAPE: ("216202",),
        Meaning.TOO_LARGE: ("216205",),  # not confirmed
        Meaning.NOT_THIS_DOCUMENT: ("216631", "216633"),
        Meaning.NOTHING_HERE: ("282102", "282103"),  # no target found; not confirmed
    },
    statuses={401: Meaning.TOKEN, 403: Meaning.TOKEN},
)
"""By ``error_code``; by the HTTP status where there is none."""


def refusal_of(answer: HttpAnswer, said: Mapping[str, Any] | None) -> Refusal | None:
    """The error that an answer tells: its code, else its status."""
    if said is None or "error_code" not in said:
        return status_refusal(answer)
    return Refusal(
        str(said["error_code"])[:_MAX_CODE],
        str(said.get("error_msg", ""))[:_MAX_WORDS],
        status=answer.status,
        retry_after_s=answer.retry_after_s,
    )
