"""One call by AWS's SDK: ``python aws.py URL ACTION IMAGE``. ACTION is an operation of Textract."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import boto3
from botocore.config import Config

if __name__ == "__main__":
    endpoint, action, path = sys.argv[1:]
    keys = json.loads(os.environ["SDK_KEYS"])
    client = boto3.client(
        "textract",
        endpoint_url=endpoint,
        region_name=keys["region"],
        aws_access_key_id=keys["access_key_id"],
        aws_secret_access_key=keys["secret_access_key"],
        aws_session_token=keys.get("session_token"),
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    document = {"Bytes": Path(path).read_bytes()}
    match action:
        case "AnalyzeID":
            said = client.analyze_id(DocumentPages=[document])
        case "AnalyzeDocument":
            said = client.analyze_document(Document=document, FeatureTypes=["TABLES"])
        case _:
            said = client.detect_document_text(Document=document)
    print(json.dumps([each["Text"] for each in said.get("Blocks", []) if "Text" in each]))
