"""The texts that stand on pages, where somebody wrote them down."""

from __future__ import annotations

from pathlib import Path

from ocrmux_client.errors import UsageProblem

MAX_BYTES = 8 << 20
_ENDINGS = (".txt", ".gt.txt", ".gold.txt")
_PAGE_BREAK = "\f"


class GroundTruth:
    """Finds the truth of a source: ``scan.txt``, ``scan.gt.txt``, ``scan.gold.txt`` or ``scan.png.txt`` beside
    ``scan.png``, or below ``folder`` in the same place as the source below ``root``, or there itself.

    The pages of a document are parted by form feeds. A file that is not UTF-8, or larger than 8 MiB, is none.
    """

    def __init__(self, folder: Path | None, root: Path) -> None:
        if folder is not None and not folder.is_dir():
            raise UsageProblem(f"--truth {folder} is no folder")
        self._folder = folder
        self._root = root

    def pages(self, source: Path) -> list[str]:
        """The text of each page, in order; empty where none is known."""
        for file in self._candidates(source):
            try:
                if file.stat().st_size <= MAX_BYTES:
                    return file.read_text(encoding="utf-8-sig").removesuffix(_PAGE_BREAK).split(_PAGE_BREAK)
            except (OSError, UnicodeDecodeError):
                continue
        return []

    def _candidates(self, source: Path) -> list[Path]:
        bases = [source.parent]
        if self._folder is not None:
            absolute = source.absolute()
            below = absolute.relative_to(self._root) if absolute.is_relative_to(self._root) else Path(source.name)
            bases = [self._folder / below.parent, self._folder]
        names = [f"{source.stem}{ending}" for ending in _ENDINGS] + [f"{source.name}.txt"]
        return [base / name for base in bases for name in names if base / name != source]
