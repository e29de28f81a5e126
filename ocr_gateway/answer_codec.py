"""Answers as they go over the wire, put together from parts that are encoded already.

A document is kept encoded, and is sent on without being parsed: protobuf takes a message's fields in any order.
"""

from __future__ import annotations

from collections.abc import Sequence

from google.protobuf.descriptor import Descriptor

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import recognition_pb2

_LENGTH_DELIMITED = 2


def _tag(message: Descriptor, field: str) -> bytes:
    """What stands before a text or a sub-message: its field's number and its kind, one byte for the first 15 fields."""
    return bytes([message.fields_by_name[field].number << 3 | _LENGTH_DELIMITED])


_REQUEST_ID = _tag(recognition_pb2.PageAnswer.DESCRIPTOR, "request_id")
_DOCUMENT = _tag(recognition_pb2.PageAnswer.DESCRIPTOR, "document")
_RECOGNIZE_ANSWER = _tag(gateway_pb2.RecognizeResponse.DESCRIPTOR, "answer")
_STREAM_ANSWER = _tag(gateway_pb2.StreamRecognizeResponse.DESCRIPTOR, "answer")
_STREAM_BATCH = _tag(gateway_pb2.StreamRecognizeResponse.DESCRIPTOR, "batch")
_BATCH_ANSWER = _tag(recognition_pb2.PageAnswerBatch.DESCRIPTOR, "answers")


def page_answer_bytes(request_id: str, document: bytes, rest: bytes) -> bytes:
    """The PageAnswer, encoded, with this encoded Document as its outcome; ``rest`` is one of its other fields."""
    name = request_id.encode()
    return b"".join((_REQUEST_ID, _varint(len(name)), name, _DOCUMENT, _varint(len(document)), document, rest))


def recognize_response(answer: bytes) -> bytes:
    """The RecognizeResponse of an encoded PageAnswer."""
    return b"".join((_RECOGNIZE_ANSWER, _varint(len(answer)), answer))


def stream_response(answer: bytes) -> bytes:
    """The StreamRecognizeResponse of an encoded PageAnswer."""
    return b"".join((_STREAM_ANSWER, _varint(len(answer)), answer))


def batch_response(responses: Sequence[bytes]) -> bytes:
    """One StreamRecognizeResponse with the answers of several, each made by ``stream_response``.

    An answer by itself and an answer in a batch differ in their tag alone.
    """
    batch = b"".join([part for response in responses for part in (_BATCH_ANSWER, response[1:])])
    return b"".join((_STREAM_BATCH, _varint(len(batch)), batch))


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    if value < 0x4000:
        return bytes((value & 0x7F | 0x80, value >> 7))
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
