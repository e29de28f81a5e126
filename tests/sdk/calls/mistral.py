"""One call by Mistral's SDK: ``python mistral.py URL ACTION IMAGE``."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

try:
    from mistralai.client import Mistral
except ImportError:  # older ones
    from mistralai import Mistral

if __name__ == "__main__":
    endpoint, action, path = sys.argv[1:]
    with Mistral(api_key=json.loads(os.environ["SDK_KEYS"])["api_key"], server_url=endpoint) as client:
        encoded = base64.b64encode(Path(path).read_bytes()).decode()
        result = client.ocr.process(
            model="mistral-ocr-latest",
            document={"type": "image_url", "image_url": f"data:image/png;base64,{encoded}"},
            include_image_base64=False,
            include_blocks=True,
            confidence_scores_granularity="block",
            **({"table_format": "html"} if action == "table" else {}),
        )
    print(json.dumps([block.content for block in result.pages[0].blocks or []]))
