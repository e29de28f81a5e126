"""What Tencent's codes mean. They come with HTTP 200.

Sources: the codes common to all of Tencent Cloud's APIs (cloud.tencent.com/document/api/866/33528) and those of the
service model of its SDK. Which of FailedOperation may be tried again is this project's judgement.
"""

from __future__ import annotations

from ocr_gateway.providers.remote.meanings import ErrorTable, Meaning

ERRORS = ErrorTable(
    {
        Meaning.THROTTLED: ("RequestLimitExceeded*",),
        Meaning.TRANSIENT: (
            "InternalError*",
            "ServiceUnavailable",
            "FailedOperation",
            "FailedOperation.EngineRecognizeTimeout",
            "FailedOperation.OcrFailed",
            "FailedOperation.UnKnowError",
            "FailedOperation.DownLoadError",
            "FailedOperation.DetectFailed",
            "FailedOperation.ResponseParseFailed",
            "FailedOperation.FieldException",
            "FailedOperation.WarningServiceFailed",
        ),
        Meaning.DAY_SPENT: ("FailedOperation.CountLimitError",),
        Meaning.QUOTA_SPENT: (
            "ResourceUnavailable.InArrears",
            "ResourceUnavailable.ResourcePackageRunOut",
            "ResourcesSoldOut.ChargeStatusException",
            "FailedOperation.ArrearsError",
        ),
        Meaning.CREDENTIALS: ("AuthFailure*", "IpInBlacklist", "IpNotInWhitelist"),
        Meaning.NOT_OPEN: (
            "AuthFailure.UnauthorizedOperation",
            "UnauthorizedOperation*",
            "FailedOperation.UnOpenError",
            "ActionOffline",
            "UnsupportedRegion",
        ),
        Meaning.UNDECODABLE: (
            "FailedOperation.ImageDecodeFailed",
            "FailedOperation.FileDecodeFailed",
            "FailedOperation.EmptyImageError",
            "InvalidParameter.EngineImageDecodeFailed",
        ),
        Meaning.FORMAT: ("FailedOperation.UnKnowFileTypeError",),
        Meaning.TOO_LARGE: ("LimitExceeded.TooLargeFileError", "RequestSizeLimitExceeded"),
        Meaning.SHAPE: (
            "FailedOperation.ImageSizeTooLarge",
            "FailedOperation.ImageBlur",
            "FailedOperation.IdCardTooSmall",
            "FailedOperation.MultiCardError",
        ),
        Meaning.OPTION: (
            "InvalidParameter",
            "InvalidParameter.ConfigFormatError",
            "InvalidParameterValue*",
            "FailedOperation.LanguageNotSupport",
        ),
        Meaning.NOT_THIS_DOCUMENT: (
            "FailedOperation.ImageNoIdCard",
            "FailedOperation.NoBizLicense",
            "FailedOperation.NoBankCardError",
            "FailedOperation.IllegalBankCardError",
            "FailedOperation.ImageNoSpecifiedCard",
            "FailedOperation.CardSideError",
            "FailedOperation.IdCardInfoIllegal",
        ),
        Meaning.NOTHING_HERE: ("FailedOperation.ImageNoText", "FailedOperation.ImageNoHandWrite"),
        Meaning.BUG: (
            "InvalidAction",
            "InvalidRequest",
            "MissingParameter",
            "UnknownParameter",
            "NoSuchProduct",
            "NoSuchVersion",
            "UnsupportedProtocol",
            "UnsupportedOperation",
        ),
    }
)
