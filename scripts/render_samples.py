"""Renders the images of samples/ and, beside each, the text that stands on it. Run by hand when a sample changes.

Needs Debian's fonts-wqy-zenhei and fonts-dejavu-core. One seed, so the same fonts and libraries give the same files.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

ROOT = Path(__file__).resolve().parent.parent
SAMPLES_DIR = ROOT / "samples"
SEED = 20260101
MAX_BYTES = 200_000
FONTS = {
    "chinese": Path("/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc"),
    "sans": Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"),
    "sans-bold": Path("/usr/share/fonts/truetype/dejavu/DejaVuSans-Bold.ttf"),
    "serif": Path("/usr/share/fonts/truetype/dejavu/DejaVuSerif.ttf"),
    "serif-bold": Path("/usr/share/fonts/truetype/dejavu/DejaVuSerif-Bold.ttf"),
    "mono": Path("/usr/share/fonts/truetype/dejavu/DejaVuSansMono.ttf"),
    "mono-bold": Path("/usr/share/fonts/truetype/dejavu/DejaVuSansMono-Bold.ttf"),
}
Colour = tuple[int, int, int] | tuple[int, int, int, int]
INK: Colour = (28, 30, 36)
EXIF_ORIENTATION = 0x0112


@cache
def font(name: str, size_px: int) -> ImageFont.FreeTypeFont:
    """A font by its name in FONTS. Raises OSError when it is not installed."""
    return ImageFont.truetype(FONTS[name], size_px)


@dataclass(slots=True)
class Sheet:
    """An image being written on; remembers each line for the text file."""

    image: Image.Image
    lines: list[str] = field(default_factory=list)

    @property
    def draw(self) -> ImageDraw.ImageDraw:
        """Draws on the image without being remembered."""
        return ImageDraw.Draw(self.image)

    def write(
        self, x: float, y: float, text: str, face: str, size_px: int, ink: Colour = INK, anchor: str = "la"
    ) -> None:
        """Writes one line; the anchor is Pillow's."""
        self.write_row(y, [(x, text, anchor)], face, size_px, ink)

    def write_row(
        self, y: float, cells: Sequence[tuple[float, str, str]], face: str, size_px: int, ink: Colour = INK
    ) -> None:
        """Writes the cells of one line: x, text and anchor of each."""
        for x, text, anchor in cells:
            self.draw.text((x, y), text, font=font(face, size_px), fill=ink, anchor=anchor)
        self.lines.append(" ".join(text for _, text, _ in cells))

    def rule(self, x0: float, y: float, x1: float, width_px: int = 2, ink: Colour = INK) -> None:
        """Draws a level line."""
        self.draw.line([(x0, y), (x1, y)], fill=ink, width=width_px)


def paper(width_px: int, height_px: int, colour: Colour = (255, 255, 255)) -> Sheet:
    """An empty sheet."""
    return Sheet(Image.new("RGB", (width_px, height_px), colour))


def letter() -> Sheet:
    """An English letter."""
    sheet = paper(1000, 1180)
    sheet.write(90, 80, "Harbour Street Bindery", "serif-bold", 38, (22, 62, 104))
    sheet.write(90, 136, "14 Harbour Street, Whitby", "serif", 23, (90, 96, 106))
    sheet.rule(90, 182, 910, 3, (22, 62, 104))
    sheet.write(90, 232, "3 March 2026", "serif", 25)
    sheet.write(90, 300, "Dear Ms Okafor,", "serif", 25)
    body = (
        "Thank you for sending us the ship's log of 1871. The paper",
        "is sound, but the spine has split and nine leaves are loose.",
        "",
        "We propose to wash and press the leaves, sew the sections",
        "on new cords and keep the original boards. The work takes",
        "six weeks and costs 480 pounds, insurance included.",
        "",
        "If you agree, please return the enclosed form by 20 March.",
        "Questions are welcome on any weekday from 9 to 5.",
    )
    y = 360
    for text in body:
        if text:
            sheet.write(90, y, text, "serif", 25)
        y += 46 if text else 26
    sheet.write(90, y + 34, "Yours sincerely,", "serif", 25)
    flourish = [(x, y + 140 + 22 * np.sin(x / 13.0) * np.cos(x / 47.0)) for x in range(96, 330, 2)]
    sheet.draw.line(flourish, fill=(30, 50, 120), width=4, joint="curve")
    sheet.write(90, y + 190, "Edith Marlowe", "serif", 25)
    sheet.write(90, y + 234, "Head of conservation", "serif", 23, (90, 96, 106))
    return sheet


def invoice() -> Sheet:
    """A Chinese delivery note with a ruled table."""
    sheet = paper(1100, 900)
    sheet.write(550, 60, "青禾文具有限公司", "chinese", 44, (150, 30, 30), "ma")
    sheet.write(550, 126, "销售出库单", "chinese", 34, INK, "ma")
    sheet.write_row(200, [(80, "客户：江城第三小学", "la"), (1020, "日期：2026年3月18日", "ra")], "chinese", 26)
    sheet.write_row(246, [(80, "联系人：林老师", "la"), (1020, "单号：QH20260318", "ra")], "chinese", 26)
    rows = (
        ("品名", "规格", "数量", "单价", "金额"),
        ("铅笔", "HB 十二支装", "40", "12.50", "500.00"),
        ("作业本", "A5 六十页", "300", "2.80", "840.00"),
        ("水彩颜料", "二十四色", "25", "36.00", "900.00"),
        ("三角尺", "30厘米", "60", "4.50", "270.00"),
    )
    edges = (80, 300, 560, 700, 860, 1020)
    top, height = 306, 64
    for index, row in enumerate(rows):
        y = top + index * height
        if index == 0:
            sheet.draw.rectangle((edges[0], y, edges[-1], y + height), fill=(244, 236, 226))
        cells = [((left + right) / 2, text, "mm") for left, right, text in zip(edges, edges[1:], row, strict=False)]
        sheet.write_row(y + height / 2, cells, "chinese", 28)
    bottom = top + len(rows) * height
    for index in range(len(rows) + 1):
        sheet.rule(edges[0], top + index * height, edges[-1])
    for x in edges:
        sheet.draw.line([(x, top), (x, bottom)], fill=INK, width=2)
    sheet.write(1020, bottom + 34, "合计金额：2510.00元", "chinese", 32, (150, 30, 30), "ra")
    sheet.write(80, bottom + 100, "大写：贰仟伍佰壹拾元整", "chinese", 28)
    sheet.write_row(
        bottom + 166, [(80, "制单：周敏", "la"), (440, "仓库：老吴", "la"), (800, "收货人签字：", "la")], "chinese", 26
    )
    return sheet


def parcel_label() -> Sheet:
    """A shipping label in Chinese and English, with a bar code of no meaning."""
    sheet = paper(900, 1000)
    sheet.draw.rectangle((30, 30, 870, 970), outline=INK, width=4)
    sheet.draw.rectangle((30, 30, 870, 140), fill=INK)
    sheet.write_row(85, [(60, "NORTHWIND EXPRESS", "lm"), (840, "标准快递", "rm")], "chinese", 44, (255, 255, 255))
    sheet.write(60, 172, "收件人 To", "chinese", 26, (110, 114, 122))
    sheet.write(60, 214, "陈晓岚 Chen Xiaolan", "chinese", 42)
    sheet.write(60, 280, "浙江省杭州市西湖区文三路88号", "chinese", 32)
    sheet.write(60, 328, "Room 1204, Building 3", "sans", 30)
    sheet.rule(30, 396, 870, 3)
    sheet.write(60, 420, "寄件人 From", "chinese", 26, (110, 114, 122))
    sheet.write(60, 462, "Alder & Finch Books", "sans-bold", 32)
    sheet.write(60, 512, "27 Mill Lane, Bristol BS1 4QA", "sans", 28)
    sheet.rule(30, 574, 870, 3)
    sheet.write_row(620, [(60, "重量 1.35 kg", "lm"), (370, "件数 1/2", "lm"), (620, "到付 否", "lm")], "chinese", 34)
    sheet.rule(30, 664, 870, 3)
    rng = np.random.default_rng(SEED)
    x = 110
    while x < 780:
        bar, gap = (int(width) for width in rng.integers(1, 5, size=2) * 3)
        sheet.draw.rectangle((x, 700, x + bar - 1, 860), fill=INK)
        x += bar + gap
    sheet.write(450, 880, "NW 5507 3214 9986", "mono-bold", 44, INK, "ma")
    return sheet


def receipt() -> Sheet:
    """A till receipt, photographed aslant in uneven light."""
    sheet = paper(520, 820, (250, 249, 244))
    sheet.write(260, 44, "CAFE MERIDIAN", "mono-bold", 42, INK, "ma")
    sheet.write(260, 104, "12 Station Road", "mono", 24, INK, "ma")
    sheet.write(260, 138, "2026-04-11 08:52", "mono", 24, INK, "ma")
    sheet.draw.line([(40, 190), (480, 190)], fill=INK, width=2)
    items = (("2 Flat white", "7.20"), ("1 Porridge", "4.50"), ("1 Almond cake", "3.90"), ("1 Orange juice", "3.40"))
    y = 220
    for name, price in items:
        sheet.write_row(y, [(40, name, "la"), (480, price, "ra")], "mono", 28)
        y += 54
    sheet.draw.line([(40, y + 8), (480, y + 8)], fill=INK, width=2)
    sheet.write_row(y + 32, [(40, "TOTAL", "la"), (480, "19.00", "ra")], "mono-bold", 38)
    sheet.write_row(y + 98, [(40, "Cash", "la"), (480, "20.00", "ra")], "mono", 28)
    sheet.write_row(y + 148, [(40, "Change", "la"), (480, "1.00", "ra")], "mono", 28)
    sheet.write(260, y + 236, "Thank you", "mono", 30, INK, "ma")
    corners = ((176, 78), (742, 72), (846, 1074), (104, 1090))
    return Sheet(photograph(sheet.image, corners, (940, 1180), (104, 78, 58)), sheet.lines)


def door_sign() -> Sheet:
    """A library's opening hours in Chinese and English, photographed on a wall."""
    sheet = paper(900, 620, (24, 74, 84))
    white: Colour = (246, 246, 240)
    sheet.draw.rounded_rectangle((16, 16, 883, 603), 26, outline=white, width=5)
    sheet.write(450, 60, "城东图书馆", "chinese", 72, white, "ma")
    sheet.write(450, 156, "East City Library", "sans-bold", 44, white, "ma")
    sheet.rule(80, 236, 820, 3, (210, 178, 96))
    sheet.write_row(274, [(80, "周一至周五", "la"), (820, "09:00 - 21:00", "ra")], "chinese", 42, white)
    sheet.write_row(340, [(80, "周六和周日", "la"), (820, "10:00 - 18:00", "ra")], "chinese", 42, white)
    sheet.write(450, 430, "请保持安静", "chinese", 46, white, "ma")
    sheet.write(450, 506, "Please keep quiet", "sans", 38, white, "ma")
    corners = ((118, 96), (1068, 132), (1046, 776), (138, 738))
    return Sheet(photograph(sheet.image, corners, (1180, 880), (196, 190, 178)), sheet.lines)


def photograph(
    page: Image.Image, corners: Sequence[tuple[float, float]], size: tuple[int, int], ground: tuple[int, int, int]
) -> Image.Image:
    """The page as a camera would see it: its corners laid at ``corners`` (clockwise from the top left, pixels of a
    picture of ``size``) on a grained ground, with a shadow, uneven light, slight blur and noise."""
    rng = np.random.default_rng(SEED)
    width, height = size
    grain = rng.normal(0, 6, (height // 4 + 1, width, 1)).repeat(4, axis=0)[:height]
    surface = Image.fromarray(np.clip(np.array(ground) + grain, 0, 255).astype(np.uint8))
    mask = Image.new("L", page.size, 255)
    back = homography(corners, page.size)
    warped = page.transform(size, Image.Transform.PERSPECTIVE, back, Image.Resampling.BICUBIC)
    mask = mask.transform(size, Image.Transform.PERSPECTIVE, back, Image.Resampling.BICUBIC)
    shadow = Image.new("L", size, 0)
    shadow.paste(mask, (14, 18))
    shadow = shadow.filter(ImageFilter.GaussianBlur(16)).point(lambda value: value * 0.45)
    surface = Image.composite(Image.new("RGB", size, (12, 10, 10)), surface, shadow)
    scene = Image.composite(warped, surface, mask).filter(ImageFilter.GaussianBlur(0.7))
    x, y = np.meshgrid(np.linspace(0, 1, width), np.linspace(0, 1, height))
    light = 1.04 - 0.34 * x * y - 0.16 * (1 - x) * y + 0.05 * np.exp(-((x - 0.3) ** 2 + (y - 0.25) ** 2) / 0.08)
    tint = np.array((1.0, 0.985, 0.95))
    lit = np.asarray(scene, dtype=np.float64) * light[..., None] * tint + rng.normal(0, 4, (height, width, 1))
    return Image.fromarray(np.clip(lit, 0, 255).astype(np.uint8))


def homography(corners: Sequence[tuple[float, float]], page_size: tuple[int, int]) -> list[float]:
    """The eight numbers by which Pillow takes a point of the picture back to the page."""
    width, height = page_size
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, ((0, 0), (width, 0), (width, height), (0, height)), strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return [float(number) for number in np.linalg.solve(np.array(rows, float), np.array(values, float))]


def screenshot() -> Sheet:
    """A dialog window with round corners and a shadow that is all alpha."""
    size = (960, 640)
    shadow = Image.new("RGBA", size, (0, 0, 0, 0))
    ImageDraw.Draw(shadow).rounded_rectangle((40, 44, 920, 604), 22, fill=(0, 0, 0, 120))
    sheet = Sheet(shadow.filter(ImageFilter.GaussianBlur(14)))
    white, grey, blue = (255, 255, 255, 255), (96, 100, 110, 255), (38, 103, 214, 255)
    sheet.draw.rounded_rectangle((40, 32, 920, 592), 22, fill=white)
    sheet.draw.rounded_rectangle((40, 32, 920, 96), 22, fill=(236, 238, 242, 255))
    sheet.draw.rectangle((40, 74, 920, 96), fill=(236, 238, 242, 255))
    for index, colour in enumerate(((237, 106, 94, 255), (245, 191, 79, 255), (98, 197, 84, 255))):
        sheet.draw.ellipse((64 + 30 * index, 54, 84 + 30 * index, 74), fill=colour)
    sheet.write(480, 64, "Backup settings", "sans-bold", 26, INK, "mm")
    settings = (
        ("Copy to", "External drive"),
        ("Every", "6 hours"),
        ("Keep for", "90 days"),
        ("Last run", "Today, 14:20"),
    )
    y = 150
    for name, value in settings:
        sheet.draw.rounded_rectangle((330, y - 26, 860, y + 26), 10, outline=(200, 204, 212, 255), width=2)
        sheet.write_row(y, [(90, name, "lm"), (354, value, "lm")], "sans", 27, INK)
        y += 82
    sheet.write(90, y + 2, "214 files changed since the last backup", "sans", 25, grey, "lm")
    sheet.draw.rounded_rectangle((500, 510, 660, 566), 12, fill=(228, 231, 237, 255))
    sheet.draw.rounded_rectangle((690, 510, 870, 566), 12, fill=blue)
    sheet.draw.text((580, 538), "Cancel", font=font("sans", 26), fill=INK, anchor="mm")
    sheet.draw.text((780, 538), "Back up", font=font("sans-bold", 26), fill=white, anchor="mm")
    sheet.lines.append("Cancel Back up")
    return sheet


def save(name: str, sheet: Sheet, *, exif_orientation: int | None = None) -> None:
    """Writes the image and its text. Raises ValueError when the image is over MAX_BYTES."""
    path = SAMPLES_DIR / name
    image = sheet.image
    if exif_orientation == 6:  # stored on its side; the reader turns it a quarter clockwise
        exif = Image.Exif()
        exif[EXIF_ORIENTATION] = exif_orientation
        image.transpose(Image.Transpose.ROTATE_90).save(path, quality=82, exif=exif)
    elif path.suffix == ".jpg":
        image.save(path, quality=80)
    else:
        image.save(path, optimize=True)
    path.with_suffix(".txt").write_text("\n".join(sheet.lines) + "\n", encoding="utf-8")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} has {path.stat().st_size} bytes, over {MAX_BYTES}")


def main() -> int:
    """Exit status: 0 when all are written, 1 when a font is missing."""
    missing = [str(path) for path in FONTS.values() if not path.exists()]
    if missing:
        sys.stderr.write(f"missing: {', '.join(missing)}; on Debian: fonts-wqy-zenhei fonts-dejavu-core\n")
        return 1
    save("letter.png", letter())
    save("invoice_zh.png", invoice())
    save("parcel_label.png", parcel_label())
    save("receipt.jpg", receipt())
    save("door_sign.jpg", door_sign(), exif_orientation=6)
    save("screenshot_alpha.png", screenshot())
    return 0


if __name__ == "__main__":
    sys.exit(main())
