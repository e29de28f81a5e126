"""One call by Azure's SDKs: ``python azure_sdks.py URL ACTION IMAGE``; ACTION is a prebuilt model, or read."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from azure.core.credentials import AzureKeyCredential


def document_intelligence(url: str, model: str, image: bytes, key: str) -> None:
    """Submits the image and waits for its operation."""
    from azure.ai.documentintelligence import DocumentIntelligenceClient

    client = DocumentIntelligenceClient(endpoint=url, credential=AzureKeyCredential(key))
    result = client.begin_analyze_document(model, body=image, content_type="application/octet-stream").result()
    print(json.dumps([line.content for line in result.pages[0].lines]))


def image_analysis(url: str, image: bytes, key: str) -> None:
    """Reads the image."""
    from azure.ai.vision.imageanalysis import ImageAnalysisClient
    from azure.ai.vision.imageanalysis.models import VisualFeatures

    client = ImageAnalysisClient(endpoint=url, credential=AzureKeyCredential(key))
    result = client.analyze(image_data=image, visual_features=[VisualFeatures.READ])
    print(json.dumps([line.text for block in result.read.blocks for line in block.lines]))


if __name__ == "__main__":
    endpoint, action, path = sys.argv[1:]
    api_key = json.loads(os.environ["SDK_KEYS"])["api_key"]
    if action == "read":
        image_analysis(endpoint, Path(path).read_bytes(), api_key)
    else:
        document_intelligence(endpoint, action, Path(path).read_bytes(), api_key)
