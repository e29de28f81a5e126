"""What Alibaba's codes mean. Their letter case differs from page to page.

Sources: the vendor's pages on the OCR API's errors and on those common to all its APIs (help.aliyun.com). Only formats
that it takes are sent, so a format that it does not take means bytes that are no image. URLs are never sent.
"""

from __future__ import annotations

from ocr_gateway.providers.remote.meanings import ErrorTable, Meaning

ERRORS = ErrorTable(
    {
        Meaning.THROTTLED: ("Throttling*",),
        Meaning.TRANSIENT: (
            "algorithmError",
            "ServiceUnavailable*",
            "InternalError*",
            "SignatureNonceUsed",
        ),
        Meaning.QUOTA_SPENT: ("OcrServiceExpired",),
        Meaning.CREDENTIALS: (
            "SignatureDoesNotMatch",
            "IncompleteSignature",
            "InvalidAccessKeyId*",
            "InvalidAccessKeySecret",
            "InvalidSecurityToken*",
            "MissingSecurityToken",
            "InvalidTimeStamp*",
        ),
        Meaning.NOT_OPEN: ("ocrServiceNotOpen", "noPermission*", "Forbidden*"),
        Meaning.UNDECODABLE: ("unsupportedImageFormat", "illegalImageContent"),
        Meaning.TOO_LARGE: ("exceededImageContent",),
        Meaning.SHAPE: ("illegalImageSize", "ExceededFaceBackCount"),
        Meaning.OPTION: ("InvalidParameter*",),
        Meaning.NOT_THIS_DOCUMENT: ("unmatchedImageType",),
        Meaning.BUG: (
            "IllegalImageUrl",
            "MissingImageUrl",
            "notSafeImageUrl",
            "InvalidAction*",
            "InvalidVersion*",
            "MissingParameter*",
        ),
    },
    {416: Meaning.SHAPE},
)
