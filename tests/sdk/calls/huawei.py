"""One call by Huawei's SDK: ``python huawei.py URL ACTION IMAGE``; ACTION is the path's last part."""

from __future__ import annotations

import base64
import json
import os
import sys
from pathlib import Path

import huaweicloudsdkocr.v1 as ocr
from huaweicloudsdkcore.auth.credentials import BasicCredentials

# What the adapter asks for by itself.
_CALLS = {
    "general-text": ("general_text", "GeneralText", {"detect_direction": True}),
    "general-table": ("general_table", "GeneralTable", {"return_text_location": True, "return_confidence": True}),
    "id-card": ("id_card", "IdCard", {"return_text_location": True}),
    "business-license": ("business_license", "BusinessLicense", {}),
    "bankcard": ("bankcard", "Bankcard", {"return_text_location": True}),
}

if __name__ == "__main__":
    url, action, path = sys.argv[1:]
    keys = json.loads(os.environ["SDK_KEYS"])
    account = BasicCredentials(keys["access_key"], keys["secret_key"], keys["project_id"])
    client = ocr.OcrClient.new_builder().with_credentials(account).with_endpoints([url]).build()
    method, name, options = _CALLS[action]
    image = base64.b64encode(Path(path).read_bytes()).decode()
    request = getattr(ocr, f"Recognize{name}Request")(body=getattr(ocr, f"{name}RequestBody")(image=image, **options))
    print(json.dumps(getattr(client, f"recognize_{method}")(request).to_dict(), ensure_ascii=False, default=str))
