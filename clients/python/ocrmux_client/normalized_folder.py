"""The folder into which normalised pages are written."""

from __future__ import annotations

import mimetypes
from pathlib import Path

from ocrmux_client.normalized_image import NormalizedImage
from ocrmux_client.page_comparison import comparison
from ocrmux_client.picture_names import PictureNames

_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg"}
_COMPARED = ".compare.jpg"


class NormalizedFolder:
    """Writes pages below ``folder``, which is made if it does not stand yet, named after sources below ``root``."""

    def __init__(self, folder: Path, root: Path, password: str = "") -> None:
        self._folder = folder
        self._names = PictureNames(root)
        self._password = password

    def write(self, source: Path, image: NormalizedImage) -> Path:
        """Writes the page as it came and gives its path. Blocks; raises OSError."""
        suffix = _SUFFIXES.get(image.media_type) or mimetypes.guess_extension(image.media_type) or ".bin"
        target = self._target(source, image, suffix)
        target.write_bytes(image.content)
        return target

    def compare(self, source: Path, image: NormalizedImage, done: str) -> Path:
        """Writes source and page side by side and gives the picture's path. Blocks; one call at a time.

        Raises NotDrawable, OSError.
        """
        picture = comparison(source, image, done, self._password)
        target = self._target(source, image, _COMPARED)
        picture.save(target, quality=88)
        return target

    def _target(self, source: Path, image: NormalizedImage, suffix: str) -> Path:
        self._folder.mkdir(parents=True, exist_ok=True)
        return self._folder / self._names.name(source, image.page, image.page_count, suffix)
