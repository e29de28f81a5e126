"""One call by Alibaba's SDK: ``python alibaba.py URL ACTION IMAGE``."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

from alibabacloud_ocr_api20210707 import models
from alibabacloud_ocr_api20210707.client import Client
from alibabacloud_tea_openapi.models import Config

if __name__ == "__main__":
    url, action, path = sys.argv[1:]
    keys = json.loads(os.environ["SDK_KEYS"])
    client = Client(
        Config(
            access_key_id=keys["access_key_id"],
            access_key_secret=keys["access_key_secret"],
            protocol="HTTP",
            endpoint=urlsplit(url).netloc,
        )
    )
    request = getattr(models, f"{action}Request")()
    if action == "RecognizeAdvanced":
        request.output_char_info = True
    method = re.sub(r"(?<!^)(?=[A-Z])", "_", action).lower()
    with Path(path).open("rb") as image:
        request.body = image
        print(getattr(client, method)(request).body.data)
