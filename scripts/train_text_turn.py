"""Trains the network that tells which way up text stands, on drawn pages, and writes its weights.

Run by hand when the crops or the network change; decision 0022 says what the shipped weights were trained on.

    python scripts/train_text_turn.py --fonts FOLDER… --out preprocess_service/measures/text_turn_weights.npz

Fonts are found by their family's name in the folders given, in the system's and in Pillow. Never trained on, so that
accuracy is told on fonts that the network has not seen: AR PL UKai, Liberation Serif and DejaVu Sans Mono. Where none
of these is there, new pages in the trained fonts are used, and the report says so. One seed gives the same pages on
the same fonts and libraries, and the same weights unless the time ends the training before its steps do.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from preprocess_service.measures.glyph_crops import CROP_PX, glyph_crops
from preprocess_service.measures.ink import Pixels, find_ink
from preprocess_service.measures.text_turn import Singles, TurnNetwork

SYSTEM_FONTS = (Path("/usr/share/fonts"), Path("/usr/local/share/fonts"))
EAST_ASIAN = ("Noto Sans CJK", "Noto Serif CJK", "AR PL UMing", "WenQuanYi Zen Hei")
WESTERN = ("Aileron", "DejaVu Sans", "DejaVu Serif", "Liberation Sans", "Liberation Mono", "STIXGeneral")
HELD_OUT_EAST_ASIAN = ("AR PL UKai",)
HELD_OUT_WESTERN = ("Liberation Serif", "DejaVu Sans Mono")
HANGUL = ("Noto Sans CJK", "Noto Serif CJK")
CYRILLIC = ("DejaVu", "Liberation")

_HIDDEN = (48, 16)
_BATCH = 384
_PEAK_RATE, _LAST_RATE = 2e-3, 1e-5
_WARM_UP_STEPS = 200
_DECAY = 2e-5
_SMOOTHING = 0.02
_MEAN_SHARE, _SQUARE_SHARE = 0.9, 0.999
_HELD_OUT_SEED = 5_000_000
_HELD_OUT_SHARE = 0.08

_LEVEL_ONE = "".join(
    bytes([row, cell]).decode("gb2312")
    for row in range(0xB0, 0xD8)
    for cell in range(0xA1, 0xFF)
    if not (row == 0xD7 and cell > 0xF9)
)
"""The 3755 common characters of GB 2312, by code points."""

_STOPS = "，。、；："
_VOCABULARY = """
the of and to in is that for it as was with be by on not he his but at are this have from or had an they which one you
were all her she there would their we him been has when who will no more if out so up said what its about than into
them can only other time new some could these two may first then do any like my now over such our man me even most made
after also did many off before must well back through years where much your way down should because long each just
state those people too little good world very year still see own work men day get here between both being under three
never know same last another while us might great go come since against right came take used himself few house use
during without again place around however home small found thought went say part once general high upon school every
does got united number hand course water until always public away something fact less though far put head think called
set almost end enough took government night yet system better four nothing told eyes city going president why days
present point asked later knew name second group Invoice Total Amount Payment Account Street Date Page Section Table
Figure Chapter January February September Monday Friday Dear Sir Madam sincerely quantity price discount delivery
warranty quality equipment exactly zero jazz quick quiz vex wax fjord grüße straße über Müller façade garçon élève
août señor niño mañana peut être être où là ça ändern größer können zwölf fünf São João coração avião não também
"""
_WORDS = tuple(_VOCABULARY.split())


@dataclass(frozen=True, slots=True)
class Face:
    """A font's family and where it lies; None stands for Pillow's own."""

    family: str
    path: Path | None

    def at(self, size_px: int) -> ImageFont.FreeTypeFont:
        """The font at this size. Raises OSError when the file is none."""
        if self.path is not None:
            return ImageFont.truetype(self.path, size_px)
        font = ImageFont.load_default(size_px)
        if not isinstance(font, ImageFont.FreeTypeFont):
            raise OSError("this Pillow has no scalable font of its own: build it with FreeType")
        return font


@dataclass(frozen=True, slots=True)
class Faces:
    """The fonts to draw with, by script."""

    east_asian: tuple[Face, ...]
    western: tuple[Face, ...]

    def of(self, kind: str) -> tuple[Face, ...]:
        """Those that a kind of text can be drawn in; empty when there is none."""
        if kind == "hangul":
            return tuple(face for face in self.east_asian if face.family.startswith(HANGUL))
        if kind == "cyrillic":
            return tuple(face for face in self.western if face.family.startswith(CYRILLIC))
        return self.east_asian if kind in ("chinese", "mixed", "kana", "columns") else self.western


@dataclass(frozen=True, slots=True)
class Crops:
    """Crops of 0 (paper) to 255 (ink), upright, with the kind of text that each was taken from."""

    pictures: Pixels
    kinds: tuple[str, ...]


def _english(rng: np.random.Generator) -> str:
    words = [_WORDS[int(rng.integers(len(_WORDS)))] for _ in range(int(rng.integers(6, 30)))]
    for place in range(0, len(words) - 1, int(rng.integers(4, 10))):
        words[place] = words[place].capitalize()
        words[place - 1] += str(rng.choice([",", ".", ";", ")", "?", " -"]))
    return " ".join(words)


def _number(rng: np.random.Generator) -> str:
    year, month, day = rng.integers(2010, 2030), rng.integers(1, 13), rng.integers(1, 29)
    amount, digits = rng.integers(1, 99_999), rng.integers(10**6, 10**11)
    forms = [f"¥{amount:,}.{day:02d}", f"{year}-{month:02d}-{day:02d}", f"{digits}", f"{month}:{day:02d}"]
    return str(rng.choice([*forms, f"({day}%)", f"No.{amount}", f"{amount / 100:.2f}"]))


def _chinese(rng: np.random.Generator) -> str:
    characters = [_LEVEL_ONE[int(rng.integers(len(_LEVEL_ONE)))] for _ in range(int(rng.integers(6, 40)))]
    for place in range(5, len(characters), int(rng.integers(6, 14))):
        characters[place] = _STOPS[int(rng.integers(len(_STOPS)))]
    return "".join(characters)


def _kana(rng: np.random.Generator) -> str:
    hiragana, katakana = range(0x3041, 0x3094), range(0x30A1, 0x30F5)
    codes = [int(rng.choice(hiragana if rng.random() < 0.6 else katakana)) for _ in range(int(rng.integers(8, 30)))]
    return "".join(chr(code) if rng.random() < 0.7 else _LEVEL_ONE[code % len(_LEVEL_ONE)] for code in codes)


def _words_of(rng: np.random.Generator, first: int, after: int, most: int) -> str:
    """Words of random letters between two code points."""
    lengths = rng.integers(1, most, int(rng.integers(3, 9)))
    return " ".join("".join(map(chr, rng.integers(first, after, int(length)))) for length in lengths)


_TEXTS: dict[str, Callable[[np.random.Generator], str]] = {
    "chinese": _chinese,
    "latin": _english,
    "mixed": lambda rng: _chinese(rng)[:8] + _english(rng)[:14] + _number(rng) + _chinese(rng),
    "numbers": lambda rng: "   ".join(_number(rng) for _ in range(5)),
    "kana": _kana,
    "hangul": lambda rng: _words_of(rng, 0xAC00, 0xD7A3, 5),
    "cyrillic": lambda rng: _words_of(rng, 0x430, 0x450, 9),
    "capitals": lambda rng: _english(rng).upper(),
    "columns": _chinese,
}
_SHARES = dict(zip(_TEXTS, (0.27, 0.24, 0.14, 0.08, 0.05, 0.03, 0.03, 0.05, 0.11), strict=True))
"""How much of all pages each kind is."""


def found_faces(folders: Iterable[Path]) -> tuple[Faces, Faces]:
    """The fonts to train on and those held out, in the folders and below them, and Pillow's own."""
    own = Face("Aileron", None)
    files = sorted(
        {path for folder in folders for path in folder.rglob("*") if path.suffix in (".ttf", ".ttc", ".otf")}
    )
    faces = [own, *(face for path in files if (face := _face(path)) is not None)]
    trained = [face for face in faces if not face.family.startswith((*HELD_OUT_EAST_ASIAN, *HELD_OUT_WESTERN))]
    return _by_script(trained, EAST_ASIAN, WESTERN), _by_script(faces, HELD_OUT_EAST_ASIAN, HELD_OUT_WESTERN)


def _face(path: Path) -> Face | None:
    try:
        family = ImageFont.truetype(path, 12).getname()[0] or ""
    except OSError:
        return None
    return Face(family, path)


def _by_script(faces: list[Face], east_asian: tuple[str, ...], western: tuple[str, ...]) -> Faces:
    return Faces(
        tuple(face for face in faces if face.family.startswith(east_asian)),
        tuple(face for face in faces if face.family.startswith(western)),
    )


def drawn_page(rng: np.random.Generator, faces: Faces) -> tuple[Pixels, str]:
    """A page of one kind of text, worn as scans and photos are, and the kind. Raises ValueError without any font."""
    kinds = [kind for kind in _TEXTS if faces.of(kind)]
    if not kinds:
        raise ValueError("no font to draw with: name folders that hold some")
    shares = np.array([_SHARES[kind] for kind in kinds])
    kind = str(rng.choice(kinds, p=shares / shares.sum()))
    choice = faces.of(kind)
    size = int(np.exp(rng.uniform(np.log(10), np.log(60))))
    side = max(int(rng.choice([500, 700, 1100])), 200 * -(-9 * size // 200))
    ink = int(rng.integers(0, 120))
    paper = int(rng.integers(max(ink + 50, 170), 256))
    page = Image.new("L", (side, side), paper)
    font = choice[int(rng.integers(len(choice)))].at(size)
    (_write_columns if kind == "columns" else _write_rows)(ImageDraw.Draw(page), kind, font, ink, rng)
    return _worn(np.asarray(page), size, paper, rng), kind


def _write_rows(
    drawing: ImageDraw.ImageDraw, kind: str, font: ImageFont.FreeTypeFont, ink: int, rng: np.random.Generator
) -> None:
    side, size = drawing.im.size[0], font.size
    pitch = size * rng.uniform(1.15, 2.2)
    for number in range(int((side - 2.5 * size) / pitch) + 1):
        drawing.text((size, size + number * pitch), _TEXTS[kind](rng)[: int(2.4 * side / size)], ink, font)


def _write_columns(
    drawing: ImageDraw.ImageDraw, kind: str, font: ImageFont.FreeTypeFont, ink: int, rng: np.random.Generator
) -> None:
    side, size = drawing.im.size[0], font.size
    pitch = size * max(1.25, rng.uniform(1.15, 2.2))
    for number in range(int((side - 2.5 * size) / pitch) + 1):
        left = side - 2 * size - number * pitch
        for place, character in enumerate(_TEXTS[kind](rng)[: int((side - 2.5 * size) / (1.06 * size))]):
            # Stops stand in the upper right of their place in a column.
            right, up = (0.5 * size, 0.4 * size) if character in _STOPS else (0.0, 0.0)
            drawing.text((left + right, size + place * 1.06 * size - up), character, ink, font)


def _worn(page: Pixels, size: int, paper: int, rng: np.random.Generator) -> Pixels:
    """The page a little soft, coarse, askew, noisy, compressed or negative, each by chance."""
    side = page.shape[0]
    if rng.random() < 0.5:
        page = cv2.GaussianBlur(page, (0, 0), rng.uniform(0.3, 1) * max(0.8, min(2.2, size / 22))).astype(np.uint8)
    if rng.random() < 0.25 and size > 14:
        share = rng.uniform(0.5, 0.9)
        coarse = cv2.resize(page, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
        page = cv2.resize(coarse, (side, side)).astype(np.uint8)
    turn = cv2.getRotationMatrix2D((side / 2, side / 2), float(rng.normal(0, 0.8)), 1)
    page = cv2.warpAffine(page, turn, (side, side), borderValue=(paper,)).astype(np.uint8)
    if rng.random() < 0.5:
        page = np.clip(page + rng.normal(0, rng.uniform(1, 14), page.shape), 0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        packed = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 90))])[1]
        page = np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)
    return np.uint8(255) - page if rng.random() < 0.06 else page


def drawn_crops(faces: Faces, pages: int, first_seed: int) -> Crops:
    """The crops of so many pages, a seed a page. Raises ValueError without any font."""
    pictures, kinds = [np.empty((0, CROP_PX, CROP_PX), np.uint8)], []
    for seed in range(first_seed, first_seed + pages):
        page, kind = drawn_page(np.random.default_rng(seed), faces)
        crops = glyph_crops(page, find_ink(page), 0.0)
        pictures.append((crops * 255).astype(np.uint8))
        kinds += [kind] * len(crops)
    return Crops(np.concatenate(pictures), tuple(kinds))


def trained_network(
    crops: Pixels, steps: int, max_seconds: float, seed: int, clock: Callable[[], float] = time.monotonic
) -> TurnNetwork:
    """The network after so many steps of Adam (Kingma and Ba, 2015), or after the time, whichever comes first.

    The learning rate rises, then falls by a cosine to the end. The loss is the cross entropy of the four directions of
    each crop, of which the first is right, with smoothed labels. Raises ValueError without crops.
    """
    if not len(crops):
        raise ValueError("the pages gave no crops to train on")
    rng = np.random.default_rng(seed)
    widths = (CROP_PX * CROP_PX, *_HIDDEN, 1)
    gains = (1, 2, 1)
    layers = [rng.normal(0, np.sqrt(gains[n] / widths[n]), widths[n : n + 2]).astype(np.float32) for n in range(3)]
    values = [layers[0], np.zeros(_HIDDEN[0], np.float32), layers[1], np.zeros(_HIDDEN[1], np.float32), layers[2]]
    means, squares = [np.zeros_like(v) for v in values], [np.zeros_like(v) for v in values]
    start = clock()
    for step in range(1, steps + 1):
        share = max((step - 1) / steps, (clock() - start) / max_seconds)
        if share >= 1:
            break
        rate = _PEAK_RATE * min(1, step / _WARM_UP_STEPS) * 0.5 * (1 + np.cos(np.pi * share)) + _LAST_RATE
        for n, slope in enumerate(_slopes(values, _batch(crops, rng))):
            steep = slope + _DECAY * values[n] if values[n].ndim == 2 else slope
            means[n] = _MEAN_SHARE * means[n] + (1 - _MEAN_SHARE) * steep
            squares[n] = _SQUARE_SHARE * squares[n] + (1 - _SQUARE_SHARE) * steep * steep
            mean, square = means[n] / (1 - _MEAN_SHARE**step), squares[n] / (1 - _SQUARE_SHARE**step)
            values[n] = (values[n] - rate * mean / (np.sqrt(square) + 1e-8)).astype(np.float32)
    return TurnNetwork(values[0], values[1], values[2], values[3], values[4][:, 0])


def _batch(crops: Pixels, rng: np.random.Generator) -> Singles:
    """Crops moved by up to a pixel, in the four directions, direction by direction."""
    some = crops[rng.integers(0, len(crops), _BATCH)].astype(np.float32) / 255
    some = np.roll(some, rng.integers(-1, 2, 2).tolist(), (1, 2))
    return np.concatenate([np.rot90(some, turns, (1, 2)).reshape(_BATCH, -1) for turns in range(4)]) - np.float32(0.25)


def _slopes(values: list[Singles], batch: Singles) -> list[npt.NDArray[np.float32]]:
    """The loss's derivatives by the network's values, by back-propagation."""
    first = np.maximum(batch @ values[0] + values[1], 0)
    second = np.maximum(first @ values[2] + values[3], 0)
    looks = (second @ values[4]).reshape(4, _BATCH).T
    shares = np.exp(looks - looks.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    wanted = np.full((_BATCH, 4), _SMOOTHING / 3, np.float32)
    wanted[:, 0] = 1 - _SMOOTHING
    of_look = ((shares - wanted) / _BATCH).T.reshape(-1, 1).astype(np.float32)
    of_second = (of_look @ values[4].T) * (second > 0)
    of_first = (of_second @ values[2].T) * (first > 0)
    return [batch.T @ of_first, of_first.sum(axis=0), first.T @ of_second, of_second.sum(axis=0), second.T @ of_look]


def accuracy_by_kind(network: TurnNetwork, crops: Crops) -> dict[str, float]:
    """The share of single crops whose direction is told, by the kind of text, and over all under ``all``."""
    right = np.argmax(network.log_probabilities(crops.pictures.astype(np.float32) / np.float32(255)), axis=1) == 0
    kinds = np.array(crops.kinds)
    told = {str(kind): float(right[kinds == kind].mean()) for kind in np.unique(kinds)}
    return {**told, "all": float(right.mean()) if len(right) else 0.0}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status: 0 when the weights are written."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--fonts", nargs="*", type=Path, default=[], metavar="FOLDER")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE")
    parser.add_argument("--pages", type=int, default=5000, help="pages to train on (default 5000)")
    parser.add_argument("--steps", type=int, default=7000, help="steps of training (default 7000)")
    parser.add_argument("--seconds", type=float, default=3600.0, help="at most so long (default 3600)")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    trained, held_out = found_faces([*given.fonts, *SYSTEM_FONTS])
    has_held_out = bool(held_out.east_asian or held_out.western)
    crops = drawn_crops(trained, given.pages, given.seed)
    network = trained_network(crops.pictures, given.steps, given.seconds, given.seed)
    network.save(given.out)
    pages = max(2, round(_HELD_OUT_SHARE * given.pages))
    unseen = drawn_crops(held_out if has_held_out else trained, pages, given.seed + _HELD_OUT_SEED)
    accuracy = accuracy_by_kind(TurnNetwork.load(given.out), unseen)
    sys.stdout.write(f"{len(crops.pictures)} crops; on {'held-out' if has_held_out else 'the trained'} fonts:\n")
    sys.stdout.writelines(f"  {kind:10} {share:6.1%}\n" for kind, share in accuracy.items())
    return 0


if __name__ == "__main__":
    sys.exit(main())
