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


class Recipe:
    """The worker pool. ``counts`` has what became of the images."""

    def __init__(self, url: str, store: redis.Redis) -> None:
        self._url = url
        self._store = store
        self._queue: queue.Queue[bytes | None] = queue.Queue(QUEUE_SIZE)
        self._token = self._fetch_token()
        self._counting = threading.Lock()
        self.counts: Counter[str] = Counter()

    def read_all(self, images: int, png: bytes) -> None:
        """Reads so many numbered images."""
        workers = [threading.Thread(target=self._work) for _ in range(WORKERS)]
        for worker in workers:
            worker.start()
        for number in range(images):
            self._queue.put(numbered(png, number))
        for _ in workers:
            self._queue.put(None)
        for worker in workers:
            worker.join()

    def _work(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while (image := self._queue.get()) is not None:
                text = self._read(session, image)
                self._count("lost" if text is None else "right" if text == text_of(image) else "wrong")

    def _read(self, session: requests.Session, image: bytes) -> str | None:
        """The text; None when it is given up."""
        key = f"ocr:{hashlib.sha256(image).hexdigest()}"
        kept = self._store.get(key)
        if isinstance(kept, bytes):
            return kept.decode()
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


def main(url: str, store: str, images: int, image_bytes: int) -> None:
    """Runs it and says what came of it."""
    host, _, port = store.rpartition(":")
    recipe = Recipe(url, redis.Redis(host=host, port=int(port)))
    png = png_of_size(image_bytes)
    began = time.perf_counter()
    recipe.read_all(images, png)
    seconds = time.perf_counter() - began
    found = {name: recipe.counts[name] for name in ("right", "lost", "wrong", "tries")}
    print(json.dumps({"seconds": seconds, **found}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
