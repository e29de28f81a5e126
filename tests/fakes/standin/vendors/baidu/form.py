"""Reading a call's form: the image from percent-encoded base64, and the options."""

from __future__ import annotations

import binascii
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_to_bytes

from tests.fakes.standin.vendor import Denied

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FORM_BYTES = {"accurate": 10_000_000, "accurate_basic": 10_000_000, "business_license": 10_000_000}
MAX_OTHER_FORM_BYTES = 8_000_000
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM")
_ENDS = (b"\xff\xd9", b"IEND\xaeB`\x82")
_SWITCH = ("true", "false")
_TEXT_OPTIONS = {
    "language_type": (), "detect_direction": _SWITCH, "detect_language": _SWITCH, "paragraph": _SWITCH,
    "probability": _SWITCH,
}  # fmt: skip
_PLACES = {"recognize_granularity": ("big", "small"), "vertexes_location": _SWITCH}
_ACCURATE = {"multidirectional_recognize": _SWITCH}
_LETTERS = {"eng_granularity": ("word", "letter"), "char_probability": _SWITCH}
OPTIONS: dict[str, dict[str, tuple[str, ...]]] = {
    "general": _TEXT_OPTIONS | _PLACES,
    "general_basic": _TEXT_OPTIONS,
    "accurate": _TEXT_OPTIONS | _PLACES | _ACCURATE | _LETTERS,
    "accurate_basic": _TEXT_OPTIONS | _ACCURATE,
    "table": {"cell_contents": _SWITCH, "return_excel": _SWITCH},
    "idcard": {
        "id_card_side": ("front", "back"), "detect_risk": _SWITCH, "detect_quality": _SWITCH, "detect_photo": _SWITCH,
        "detect_card": _SWITCH, "detect_ps": _SWITCH,
    },
    "business_license": {"risk_warn": _SWITCH, "detect_quality": _SWITCH, "fullwidth_shift": _SWITCH},
    "bankcard": {"location": _SWITCH, "detect_quality": _SWITCH},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Form:
    """The image, decoded, and the options."""

    image: bytes
    options: dict[str, str]


def read_form(endpoint: str, content_type: str, body: bytes, *, whole_images: bool = False) -> Form:
    """The form; as strict as the documentation. Raises Denied. 100 KB take about half a millisecond.

    Of an image only its signature is looked at; and with ``whole_images`` the end that a JPEG or PNG has.
    """
    if content_type != FORM_TYPE:
        raise Denied("216101", "not enough param")
    if not body.startswith(b"image="):
        raise Denied("216101", "param image not exist")
    encoded, _, rest = body[len(b"image=") :].partition(b"&")
    if len(encoded) > MAX_FORM_BYTES.get(endpoint, MAX_OTHER_FORM_BYTES):
        raise Denied("216202", "image size error")
    image = _image(encoded)
    if whole_images and not image.endswith(_ENDS):
        raise Denied("216201", "image format error")
    options = dict(parse_qsl(rest.decode("ascii", "replace"), keep_blank_values=True))
    for name, value in options.items():
        values = OPTIONS[endpoint].get(name)
        if values is None or (values and value not in values):
            raise Denied("216100", f"invalid param {name}")
    if endpoint == "idcard" and "id_card_side" not in options:
        raise Denied("216101", "not enough param")
    return Form(image, options)


def _image(encoded: bytes) -> bytes:
    if not encoded:
        raise Denied("216200", "empty image")
    # A bare plus is a blank in a form, and no base64.
    if b"+" in encoded or b"/" in encoded or b"=" in encoded:
        raise Denied("216201", "image format error")
    plain = encoded.replace(b"%2B", b"+").replace(b"%2F", b"/")
    if plain.endswith(b"%3D"):  # two at the most, and only there
        plain = plain[:-6] + plain[-6:].replace(b"%3D", b"=")
    if b"%" in plain:
        plain = unquote_to_bytes(encoded)
    try:
        image = binascii.a2b_base64(plain, strict_mode=True)
    except binascii.Error:
        raise Denied("216201", "image format error") from None
    if not image.startswith(_SIGNATURES):
        raise Denied("216201", "image format error")
    return image
