"""The textbook recipe: grey, 1200 x 800 pixels whatever the aspect, black and white at a threshold of 150."""

from __future__ import annotations

import cv2
import numpy as np

from ocr_gateway.image_pixels import decode_rgb

_SIZE = (1200, 800)
_THRESHOLD = 150


def textbook_page(content: bytes) -> bytes:
    """The page as the recipe makes it, a PNG. Raises ``ImageUndecodable`` as the gateway does."""
    grey = cv2.cvtColor(decode_rgb(content), cv2.COLOR_RGB2GRAY)
    squeezed = cv2.resize(grey, _SIZE)
    bilevel = cv2.threshold(squeezed, _THRESHOLD, 255, cv2.THRESH_BINARY)[1]
    encoded: np.ndarray[tuple[int], np.dtype[np.uint8]] = cv2.imencode(".png", bilevel)[1]
    return encoded.tobytes()
