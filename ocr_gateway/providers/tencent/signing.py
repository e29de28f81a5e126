"""TC3-HMAC-SHA256, by which Tencent Cloud's requests are signed (cloud.tencent.com/document/api/866/33519)."""

from __future__ import annotations

import datetime
import hashlib
import hmac

ALGORITHM = "TC3-HMAC-SHA256"
SERVICE = "ocr"
_SIGNED = "content-type;host"


def authorization(secret_id: str, secret_key: str, *, content_type: str, host: str, body_sha256: str, now: int) -> str:
    """The Authorization header of a POST to ``/``; ``now`` is what X-TC-Timestamp says.

    Content-Type and Host are signed, and with them the body and the time: as the vendor's own SDK does, nothing else.
    """
    date = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y-%m-%d")
    scope = f"{date}/{SERVICE}/tc3_request"
    request = f"POST\n/\n\ncontent-type:{content_type}\nhost:{host}\n\n{_SIGNED}\n{body_sha256}"
    to_sign = f"{ALGORITHM}\n{now}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    key = f"TC3{secret_key}".encode()
    for part in (date, SERVICE, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    return f"{ALGORITHM} Credential={secret_id}/{scope}, SignedHeaders={_SIGNED}, Signature={signature}"
