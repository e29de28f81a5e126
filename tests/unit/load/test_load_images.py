"""What a load sends."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from ocrmux_client.errors import UsageProblem
from ocrmux_client.load.file_marks import can_be_marked, marked
from ocrmux_client.load.load_images import DrawnImages, file_images

SAMPLES = Path(__file__).resolve().parents[3] / "samples"


def pixels(content: bytes) -> tuple[tuple[int, int], bytes]:
    with Image.open(io.BytesIO(content)) as image:
        return image.size, image.tobytes()


@pytest.mark.parametrize("name", ["letter.png", "screenshot_alpha.png", "door_sign.jpg", "receipt.jpg"])
def test_a_mark_changes_the_file_and_not_the_picture(name: str) -> None:
    """Pixels and orientation stay, and two marks give two files."""
    content = (SAMPLES / name).read_bytes()
    one, other = marked(content, "1"), marked(content, "2")
    assert len({content, one, other}) == 3
    assert pixels(one) == pixels(content)
    with Image.open(io.BytesIO(one)) as image, Image.open(io.BytesIO(content)) as source:
        assert dict(image.getexif()) == dict(source.getexif())


def test_other_formats_take_no_mark() -> None:
    """And say so."""
    assert not can_be_marked(b"%PDF-1.7")
    with pytest.raises(ValueError, match="PNG and JPEG"):
        marked(b"%PDF-1.7", "1")


def test_drawn_pages_differ_in_their_pixels() -> None:
    """Those of one run by turns; unique ones never come again, in another run neither."""
    by_turns, unique, other_run = (DrawnImages(3, run, unique=run > 1) for run in (1, 2, 3))
    assert [by_turns.content(number) for number in range(3)] == [by_turns.content(number) for number in range(3, 6)]
    contents = [images.content(number) for images in (by_turns, unique, other_run) for number in range(3)]
    assert len({pixels(content) for content in contents}) == 9
    assert pixels(contents[0])[0] == (640, 160)


def test_files_go_by_turns_and_unique_ones_never_twice(tmp_path: Path) -> None:
    """A folder is read whole before the load."""
    for name in ("letter.png", "receipt.jpg"):
        (tmp_path / name).write_bytes((SAMPLES / name).read_bytes())
    plain, unique = (file_images([str(tmp_path)], 7, unique=each) for each in (False, True))
    assert [plain.content(number) for number in range(2)] == [plain.content(number) for number in range(2, 4)]
    assert len({unique.content(number) for number in range(6)}) == 6
    assert plain.described()["distinct"] == 2


def test_what_cannot_be_sent_is_told_before_anything_is_sent(tmp_path: Path) -> None:
    """A missing file, an empty folder, and a file that takes no mark."""
    (tmp_path / "a.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "empty").mkdir()
    for path, words, unique in (
        ("gone.png", "no file or folder", False),
        ("empty", "no image", False),
        ("a.pdf", "neither", True),
    ):
        with pytest.raises(UsageProblem, match=words):
            file_images([str(tmp_path / path)], 1, unique=unique)
