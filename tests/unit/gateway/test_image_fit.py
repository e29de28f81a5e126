"""What is said of an image that a provider does not take."""

from __future__ import annotations

import pytest

from ocr_gateway.errors import ImageShapeUnsupported
from ocr_gateway.image_fit import check_fit
from ocr_gateway.image_header import ImageHeader
from ocr_gateway.model import ImageLimits


def test_an_aspect_that_is_hardly_over_the_limit_is_told_apart_from_it() -> None:
    """The figure is exact enough to be over the limit in print too; one that is at the limit is taken."""
    with pytest.raises(ImageShapeUnsupported, match=r"it is 3\.03 times as long as wide, not 3"):
        check_fit(1, ImageHeader("image/png", 100, 303), ImageLimits(max_aspect=3))
    check_fit(1, ImageHeader("image/png", 300, 100), ImageLimits(max_aspect=3))
