"""The worker's end of the socket: blocking, one frame at a time."""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Sequence

from preprocess_service.worker_messages import (
    PREFIX_BYTES,
    Answer,
    PageRequest,
    Terms,
    answer_frame,
    frame_lengths,
    header_of,
    request_of,
    terms_of,
)


class ServiceGone(Exception):
    """The service has closed its end, or ended."""


class ServiceChannel:
    """Reads what the service asks for and writes the answers. Both raise ServiceGone."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(True)
        self._end = end

    @staticmethod
    def from_standard_input() -> ServiceChannel:
        """The channel over the socket that the process was started with."""
        return ServiceChannel(socket.socket(fileno=os.dup(sys.stdin.fileno())))

    def read_terms(self) -> Terms:
        """The first frame."""
        header_bytes, _ = frame_lengths(self._take(PREFIX_BYTES), max_body_bytes=0)
        return terms_of(header_of(self._take(header_bytes)))

    def read_request(self) -> PageRequest | tuple[int, ...]:
        """The next request, or the documents to close where that is all that is asked."""
        header_bytes, body_bytes = frame_lengths(self._take(PREFIX_BYTES), max_body_bytes=sys.maxsize)
        header = header_of(self._take(header_bytes))
        order = self._take(header.get("order_bytes", 0))
        content = self._take(body_bytes - len(order))
        return request_of(header, order, content) or tuple(header["closed"])

    def answer(self, answer: Answer, source: bytes = b"") -> None:
        """Sends an answer about the document that came as ``source``. Raises what ``answer_frame`` raises."""
        self._send(answer_frame(answer, source))

    def is_quiet(self, timeout_s: float) -> bool:
        """Whether nothing comes for so long."""
        return not select.select([self._end], [], [], timeout_s)[0]

    def _take(self, size: int) -> bytes:
        """Exactly so many bytes; nearly always in one piece, and then they are copied no further."""
        pieces: list[bytes] = []
        missing = size
        while missing:
            try:
                piece = self._end.recv(missing, socket.MSG_WAITALL)
            except OSError as error:
                raise ServiceGone from error
            if not piece:
                raise ServiceGone
            pieces.append(piece)
            missing -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _send(self, pieces: Sequence[bytes]) -> None:
        try:
            for piece in pieces:
                self._end.sendall(piece)
        except OSError as error:
            raise ServiceGone from error
