"""One call by Baidu's SDK: ``python baidu.py URL ENDPOINT IMAGE``.

Its addresses are constants of its classes; they are replaced. It signs, instead of asking for a token first, when the
answer for a token has not the scope brain_all_scope.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from aip import AipOcr
from aip.base import AipBase

SERVICE = "https://aip.baidubce.com"
TEXT = {"detect_direction": "true", "probability": "true"}
PLACES = {"vertexes_location": "true"}
CALLS = {
    "general": lambda client, image: client.general(image, TEXT | PLACES),
    "general_basic": lambda client, image: client.basicGeneral(image, TEXT),
    "accurate": lambda client, image: client.accurate(image, TEXT | PLACES),
    "accurate_basic": lambda client, image: client.basicAccurate(image, TEXT),
    "table": lambda client, image: client.table(image),
    "idcard": lambda client, image: client.idcard(image, "front"),
    "business_license": lambda client, image: client.businessLicense(image),
    "bankcard": lambda client, image: client.bankcard(image),
}

if __name__ == "__main__":
    url, endpoint, path = sys.argv[1:]
    for owner in (AipBase, AipOcr):
        for name, value in list(vars(owner).items()):
            if isinstance(value, str) and value.startswith(SERVICE):
                setattr(owner, name, url + value.removeprefix(SERVICE))
    keys = json.loads(os.environ["SDK_KEYS"])
    client = AipOcr("1", keys["api_key"], keys["secret_key"])
    print(json.dumps(CALLS[endpoint](client, Path(path).read_bytes())))
