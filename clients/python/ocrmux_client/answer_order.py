"""Puts answers into the order of their items."""

from __future__ import annotations

from typing import Generic

from ocrmux_client.stream_dialect import AnswerT


class AnswerOrder(Generic[AnswerT]):
    """Holds answers back until every earlier item has its last one. Plain state, no waiting.

    What it holds is bounded by whoever starts items: see ``lag``.
    """

    def __init__(self, *, ordered: bool) -> None:
        self._ordered = ordered
        self._head = 0
        self._started = 0
        self._held: dict[int, list[AnswerT]] = {}
        self._finished: set[int] = set()

    @property
    def lag(self) -> int:
        """Items started that are not yet given out to the end; 0 when the order does not matter."""
        return self._started - self._head if self._ordered else 0

    def start(self) -> int:
        """The place of the next item."""
        self._started += 1
        return self._started - 1

    def take(self, place: int, answer: AnswerT) -> list[AnswerT]:
        """The answers that may be given out now that this one is here."""
        if not self._ordered:
            return [answer]
        self._held.setdefault(place, []).append(answer)
        if answer.last_page:
            self._finished.add(place)
        ready = self._held.pop(self._head, [])
        while self._head in self._finished:
            self._finished.remove(self._head)
            self._head += 1
            ready += self._held.pop(self._head, [])
        return ready
