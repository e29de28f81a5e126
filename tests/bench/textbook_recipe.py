"""``python -m tests.bench.textbook_recipe URL REDIS_HOST:PORT IMAGES IMAGE_BYTES``: the recipe that ocrmux replaces.

Four worker threads take images from a Queue(100). Each image is looked for in Redis by its SHA-256, else sent with
``requests`` and a time-out of 10 s; whatever fails is tried three times in all, with (2 ** n) + random seconds between
the tries; a result is kept in Redis for a day (by SET with EX, which replaces SETEX). Nothing limits the
rate. In its favour: a session, and so kept connections, for each thread, error codes in good answers count as
failures, and no wait after the last try.

Prints a JSON object: ``seconds``, ``right``, ``lost`` and ``wrong`` images, and ``tries``.
"""

from __future__ import annotations

import base64
import hashlib
import json
import queue
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import redis
import requests

from tests.fakes.fleet import KEYS
from tests.fakes.numbered_images import numbered, png_of_size, text_of

WORKERS = 4
QUEUE_SIZE = 100
TRIES = 3
TIMEOUT_S = 10.0
KEEP_S = 24 * 3600
COUNTED = ("right", "lost", "wrong", "tries")


class Recipe:
    """The worker pool. ``counts`` has what became of the images.

    ``prepare`` makes of a file what is sent. ``looks_first`` asks Redis before that; such an answer counts
    as right.
    """

    def __init__(
        self,
        url: str,
        store: redis.Redis,
        *,
        workers: int = WORKERS,
        prepare: Callable[[bytes], bytes] = bytes,
        looks_first: bool = False,
    ) -> None:
        self._url = url
        self._store = store
        self._workers = workers
        self._prepare = prepare
        self._looks_first = looks_first
        self._queue: queue.Queue[bytes | None] = queue.Queue(QUEUE_SIZE)
        self._token = self._fetch_token()
        self._counting = threading.Lock()
        self.counts: Counter[str] = Counter()

    def read_all(self, images: Iterable[bytes]) -> float:
        """Reads them, each once; says how many seconds that took."""
        began = time.perf_counter()
        workers = [threading.Thread(target=self._work) for _ in range(self._workers)]
        for worker in workers:
            worker.start()
        for image in images:
            self._queue.put(image)
        for _ in workers:
            self._queue.put(None)
        for worker in workers:
            worker.join()
        return time.perf_counter() - began

    def report(self, seconds: float) -> str:
        """``seconds`` and the counts, as JSON."""
        return json.dumps({"seconds": seconds} | {name: self.counts[name] for name in COUNTED})

    def _work(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while (image := self._queue.get()) is not None:
                self._count(self._outcome(session, image))

    def _outcome(self, session: requests.Session, image: bytes) -> str:
        key = f"ocr:{hashlib.sha256(image).hexdigest()}"
        if self._looks_first and self._kept(key) is not None:
            return "right"
        sent = self._prepare(image)
        text = None if self._looks_first else self._kept(key)
        if text is None:
            text = self._read(session, sent, key)
        return "lost" if text is None else "right" if text == text_of(sent) else "wrong"

    def _kept(self, key: str) -> str | None:
        kept = self._store.get(key)
        return kept.decode() if isinstance(kept, bytes) else None

    def _read(self, session: requests.Session, image: bytes, key: str) -> str | None:
        """The text; None when it is given up."""
        for number in range(TRIES):
            try:
                text = self._post(session, image)
            except (requests.RequestException, ValueError, KeyError):
                if number + 1 < TRIES:
                    time.sleep(2**number + random.random())
                continue
            self._store.set(key, text, ex=KEEP_S)
            return text
        return None

    def _post(self, session: requests.Session, image: bytes) -> str:
        self._count("tries")
        response = session.post(
            f"{self._url}/rest/2.0/ocr/v1/general",
            params={"access_token": self._token},
            data={"image": base64.b64encode(image).decode()},
            timeout=TIMEOUT_S,
        )
        response.raise_for_status()
        said: dict[str, Any] = response.json()
        if "error_code" in said:
            raise ValueError(f"error {said['error_code']}")
        return str(said["words_result"][0]["words"])

    def _fetch_token(self) -> str:
        keys = {"client_id": KEYS["BAIDU_API_KEY"], "client_secret": KEYS["BAIDU_SECRET_KEY"]}
        query = {"grant_type": "client_credentials", **keys}
        response = requests.post(f"{self._url}/oauth/2.0/token", params=query, timeout=TIMEOUT_S)
        response.raise_for_status()
        return str(response.json()["access_token"])

    def _count(self, what: str) -> None:
        with self._counting:
            self.counts[what] += 1


def store_at(address: str) -> redis.Redis:
    """A client of the Redis at HOST:PORT."""
    host, _, port = address.rpartition(":")
    return redis.Redis(host=host, port=int(port))


def main(url: str, store: str, images: int, image_bytes: int) -> None:
    """Runs it and says what came of it."""
    recipe = Recipe(url, store_at(store))
    png = png_of_size(image_bytes)
    print(recipe.report(recipe.read_all(numbered(png, number) for number in range(images))))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
