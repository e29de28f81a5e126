"""JPEG files whose pixels are not all there, however they end, are refused at every size that they may be read in."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from preprocess_service.decoders.opening import open_document
from preprocess_service.decoders.paged_document import DecodeWish
from preprocess_service.errors import ImageUndecodable
from preprocess_service.model import Source, SourceLimits
from tests.fakes.images import encoded, photo

LIMITS = SourceLimits()


def read(content: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return open_document(Source(content), LIMITS).decode(1).pixels


def check(content: bytes) -> None:
    """Checks a plain file as the pipeline does before it passes one on."""
    plain = open_document(Source(content), LIMITS).plain_page(1)
    assert plain is not None
    plain.look(1)


@pytest.mark.parametrize("reading_way", [read, check])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_whose_end_is_made_up_is_refused(
    share: float, mode: str, reading_way: Callable[[bytes], object]
) -> None:
    """An end mark set behind a cut does not pass the grey filling off as the page."""
    content = encoded(photo(300, 200).convert(mode), "JPEG")
    start = content.index(b"\xff\xda") + 14
    cut = start + int((len(content) - start) * share)
    with pytest.raises(ImageUndecodable, match="ends before its last row"):
        reading_way(content[:cut] + b"\xff\xd9")


def looked_at(content: bytes, reduction: int) -> None:
    """Reads a JPEG at so much less than its size, as for a check or for a page that is wanted small."""
    document = open_document(Source(content), LIMITS)
    if reduction == 1:
        document.decode(1)
        return
    plain = document.plain_page(1)
    assert plain is not None
    with pytest.raises(ImageUndecodable):
        plain.look(max(plain.width, plain.height) // reduction)
    document.decode(1, DecodeWish(grey=True, max_reduction=reduction))


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
@pytest.mark.parametrize("share", [0.1, 0.35, 0.6, 0.85])
@pytest.mark.parametrize("mark", [b"", b"\xff\xc9", b"\xff\xda\0\0"], ids=["end", "odd mark", "scan mark"])
@pytest.mark.parametrize("options", [{}, {"restart_marker_rows": 1}, {"subsampling": 0}, {"quality": 20}])
def test_a_made_up_end_is_seen_at_every_size(
    options: dict[str, object], mark: bytes, share: float, reduction: int
) -> None:
    """Whatever detail a reduced size leaves out, a file whose data stop early is refused at each."""
    content = encoded(photo(300, 200), "JPEG", **options)
    start = content.index(b"\xff\xda") + 14
    cut = start + int((len(content) - start) * share)
    with pytest.raises(ImageUndecodable):
        looked_at(content[:cut] + mark + content[cut:] * bool(mark), reduction)


@pytest.mark.parametrize("cut", range(300, 3400, 200))
def test_a_progressive_jpeg_with_a_made_up_end_is_refused(cut: int) -> None:
    """An end within the first of several scans leaves pixels without any data, a later one leaves them rough."""
    content = encoded(photo(300, 200), "JPEG", progressive=True)
    for reduction in (1, 8):
        with pytest.raises(ImageUndecodable):
            looked_at(content[:cut] + b"\xff\xd9", reduction)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_cmyk_jpeg_whose_end_is_made_up_is_refused(share: float) -> None:
    """The one that Pillow decodes is checked alike."""
    content = encoded(photo(300, 200).convert("CMYK"), "JPEG")
    start = content.index(b"\xff\xda") + 14
    cut = start + int((len(content) - start) * share)
    assert read(content).shape == (200, 300, 3)
    with pytest.raises(ImageUndecodable, match="ends before its last row"):
        read(content[:cut] + b"\xff\xd9")


def test_a_jpeg_that_needs_no_probe_is_decoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page that does not end in the filling grey costs one decoding, in whatever size."""
    picture = photo(300, 200)
    picture.paste((255, 255, 255), (200, 150, 300, 200))
    content = encoded(picture, "JPEG")
    calls: list[int] = []
    decode = cv2.imdecode

    def counted(content: np.ndarray[tuple[int], np.dtype[np.uint8]], flags: int) -> object:
        calls.append(flags)
        return decode(content, flags)

    monkeypatch.setattr(cv2, "imdecode", counted)
    check(content)
    read(content)
    assert len(calls) == 2


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 1}])
def test_a_jpeg_that_ends_in_the_filling_grey_is_read(options: dict[str, object]) -> None:
    """A page whose last corner really is middle grey is no damaged page."""
    picture = photo(101, 75)
    picture.paste((128, 128, 128), (40, 30, 101, 75))
    content = encoded(picture, "JPEG", **options)
    check(content)
    assert read(content)[-1, -1].tolist() == [128, 128, 128]


def test_a_jpeg_with_thousands_of_scans_is_refused() -> None:
    """Empty scans, each of which would cost a pass over the image, are counted first."""
    content = encoded(photo(), "JPEG", progressive=True)
    scan = content[content.rindex(b"\xff\xda") : -2]
    with pytest.raises(ImageUndecodable, match="scans"):
        read(content[:-2] + scan * 300 + b"\xff\xd9")


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_components_of_no_samples_are_damage(mode: str) -> None:
    """A file of several scans whose frame states sampling factors of 0 is refused like any damaged one."""
    content = bytearray(encoded(photo().convert(mode), "JPEG", progressive=True))
    frame = content.index(b"\xff\xc2")
    for component in range(content[frame + 9]):
        content[frame + 11 + 3 * component] = 0
    with pytest.raises(ImageUndecodable):
        read(bytes(content))


def test_a_frame_of_no_components_is_damage() -> None:
    """A file of several scans whose frame states no component is refused like any damaged one."""
    content = bytearray(encoded(photo().convert("L"), "JPEG", progressive=True))
    content[content.index(b"\xff\xc2") + 9] = 0
    with pytest.raises(ImageUndecodable):
        read(bytes(content))
