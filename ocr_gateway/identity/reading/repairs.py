"""Characters that engines take for one another, put right where only one of them can stand."""

from __future__ import annotations

import unicodedata

_TO_DIGITS = str.maketrans("OoQDIilLZzSsBGqg", "0000111122558699")
_TO_LETTERS = str.maketrans("01825", "OIBZS")

# The documents of mainland China are printed in simplified characters; engines read some of them as their older forms.
_OLDER = (
    "漢滿壯維爾張劉陳趙黃吳孫馬鄭馮鄧蕭許韓楊蘇盧蔣賈葉閻鍾陸龍萬錢湯顧龔嚴傑偉強國華軍輝飛鳳蘭麗靜曉陽寧"
    "東雲慶興榮貴業廣長門縣區鄉鎮號樓棟單間灣羅納達僑鮮義書學賢紅瓊齊關錫倫臘薩畬機發銀責術開"
)
_NEWER = (
    "汉满壮维尔张刘陈赵黄吴孙马郑冯邓萧许韩杨苏卢蒋贾叶阎钟陆龙万钱汤顾龚严杰伟强国华军辉飞凤兰丽静晓阳宁"
    "东云庆兴荣贵业广长门县区乡镇号楼栋单间湾罗纳达侨鲜义书学贤红琼齐关锡伦腊萨畲机发银责术开"
)
_TO_SIMPLIFIED = str.maketrans(_OLDER, _NEWER)


def simplified(text: str) -> str:
    """The commonest older characters of names and places made the simplified ones; others are left."""
    return text.translate(_TO_SIMPLIFIED)


def as_digits(text: str) -> str:
    """Letters that look like a digit, made that digit: for places where only digits stand."""
    return text.translate(_TO_DIGITS)


def as_letters(text: str) -> str:
    """Digits that look like a letter, made that letter: for places where no digits stand."""
    return text.translate(_TO_LETTERS)


def compact(text: str) -> str:
    """In capitals, half-width, without blanks."""
    return "".join(unicodedata.normalize("NFKC", text).upper().split())
