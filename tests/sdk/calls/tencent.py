"""One call by Tencent's SDK: ``python tencent.py URL ACTION IMAGE``."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.ocr.v20181119 import models, ocr_client

if __name__ == "__main__":
    url, action, path = sys.argv[1:]
    keys = json.loads(os.environ["SDK_KEYS"])
    account = credential.Credential(keys["secret_id"], keys["secret_key"], keys.get("token"))
    profile = ClientProfile(httpProfile=HttpProfile(protocol="http", endpoint=urlsplit(url).netloc))
    client = ocr_client.OcrClient(account, "", profile)
    request = getattr(models, f"{action}Request")()
    request.ImageBase64 = base64.b64encode(Path(path).read_bytes()).decode()
    print(getattr(client, action)(request).to_json_string())
