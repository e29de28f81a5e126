"""What Huawei's codes mean: the OCR service's own (AIS), those of the platform below it (ModelArts) and of the API
gateway before it (APIG). Source: support.huaweicloud.com/api-ocr/ocr_03_0028.html."""

from __future__ import annotations

from ocr_gateway.providers.remote.meanings import ErrorTable, Meaning

ERRORS = ErrorTable(
    {
        Meaning.THROTTLED: ("APIG.0308", "APIGW.0308"),
        Meaning.TRANSIENT: ("APIG.0201", "APIGW.0201"),
        Meaning.CREDENTIALS: (
            "APIG.0301",
            "APIG.0303",
            "APIG.0305",
            "APIG.0307",
            "APIGW.0301",
            "APIGW.0303",
            "APIGW.0307",
            "ModelArts.0203",
            "ModelArts.0212",
            "ModelArts.4101",
            "ModelArts.4102",
            "ModelArts.4103",
        ),
        Meaning.NOT_OPEN: ("ModelArts.4204", "APIG.0101", "APIG.0302", "APIG.0304", "APIG.0306", "APIGW.0101"),
        Meaning.UNDECODABLE: ("AIS.0102", "AIS.0105"),
        Meaning.TOO_LARGE: ("ModelArts.4104",),
        Meaning.SHAPE: ("AIS.0103", "AIS.0104", "AIS.0122"),
        Meaning.OPTION: ("AIS.0101", "APIG.0106"),
        Meaning.BUG: ("ModelArts.4105", "ModelArts.4603", "ModelArts.4704"),
    }
)
"""AIS.0102, "format not supported", means bytes that are no image: only formats that it takes are sent. AIS.0105,
"recognition failed", is the image's fault as far as anybody knows, and is not repeated."""
