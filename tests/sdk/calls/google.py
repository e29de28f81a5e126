"""One call by Google's SDK: ``python google.py URL ACTION IMAGE``. ACTION is a type of detection.

The keys are an ``api_key``, or a ``service_account``: its key file. SDK_CLOCK is the time at which tokens are signed.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from pathlib import Path

sys.path.pop(0)  # this folder's google.py is not the package of that name

import google.auth._helpers
from google.api_core.client_options import ClientOptions
from google.cloud import vision
from google.oauth2 import service_account

if __name__ == "__main__":
    endpoint, action, path = sys.argv[1:]
    keys = json.loads(os.environ["SDK_KEYS"])
    if clock := os.environ["SDK_CLOCK"]:
        then = datetime.datetime.fromtimestamp(float(clock), datetime.UTC).replace(tzinfo=None)
        google.auth._helpers.utcnow = lambda: then
    credentials = None
    if "service_account" in keys:
        credentials = service_account.Credentials.from_service_account_info(json.loads(keys["service_account"]))
    client = vision.ImageAnnotatorClient(
        transport="rest",
        credentials=credentials,
        client_options=ClientOptions(api_endpoint=endpoint, api_key=keys.get("api_key")),
    )
    params = {"enable_text_detection_confidence_score": True} if action == "TEXT_DETECTION" else None
    image_context = {"text_detection_params": params} if params else None
    request = {
        "image": vision.Image(content=Path(path).read_bytes()),
        "features": [{"type_": vision.Feature.Type[action]}],
        **({"image_context": image_context} if image_context else {}),
    }
    response = client.batch_annotate_images(requests=[request], timeout=20)
    print(json.dumps([each.full_text_annotation.text for each in response.responses]))
