"""What Pillow and OpenCV raise is told as what it is: damage of the file, or want of memory."""

from __future__ import annotations

import errno

import cv2
import pytest

from preprocess_service.decoders.paged_document import decode_with_opencv, reading
from preprocess_service.errors import ImageUndecodable


def _opencv_error(code: int) -> cv2.error:
    error = cv2.error("said by OpenCV")
    error.code = code
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        _opencv_error(cv2.Error.StsNoMem),
        OSError("decoder error -9 (out of memory)"),
        OSError(errno.ENOMEM, "no memory"),
    ],
    ids=["python", "opencv", "pillow", "system"],
)
def test_want_of_memory_is_not_taken_for_damage(error: Exception) -> None:
    """Whichever library lacks memory, a MemoryError comes of it, for the worker to tell."""
    with pytest.raises(MemoryError), reading("the page"):
        raise error


@pytest.mark.parametrize("error", [_opencv_error(cv2.Error.StsBadArg), OSError("broken data stream")])
def test_other_errors_of_libraries_are_damage(error: Exception) -> None:
    """What is not about memory says something of the file."""
    with pytest.raises(ImageUndecodable, match="the page is damaged"), reading("the page"):
        raise error


def test_an_image_that_is_none_for_want_of_memory_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where OpenCV gives nothing, and so much memory as decoding takes is not to be had, that was the cause."""
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    with pytest.raises(MemoryError):
        decode_with_opencv(b"any", cv2.IMREAD_COLOR, "the page", takes_bytes=1 << 60)
    with pytest.raises(ImageUndecodable, match="damaged or incomplete"):
        decode_with_opencv(b"any", cv2.IMREAD_COLOR, "the page", takes_bytes=1000)


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("bad tag b'\\x00\\xff' here", "bad tag (bytes) here"),
        ("caf\u00e9 \x07 \x00 end", "caf end"),
        ("seek \\x00\\x01\\x02 failed", "seek (bytes) failed"),
        ("", "ValueError"),
        ("y" * 900, "y" * 200),
    ],
)
def test_a_librarys_words_are_told_as_plain_text(said: str, told: str) -> None:
    """Bytes of the file that a library quotes do not stand in the refusal."""
    with pytest.raises(ImageUndecodable) as caught, reading("the page"):
        raise ValueError(said)
    assert caught.value.detail == f"the page is damaged: {told}"
