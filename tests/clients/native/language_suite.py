"""The suites that each language has of its own, and what their closing words tell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_SHOWN_LINES = 50
ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, slots=True)
class LanguageSuite:
    """How a language's tests are run, in ``folder``, and read.

    ``passed`` is a line of each part that passed, with its number of tests where it tells one. ``skipped`` is a test
    that was left out, or a number of them. ``failed`` is where the words on the first failure begin.
    """

    language: str
    folder: Path
    command: tuple[str, ...]
    built: Path
    """Without it the suite cannot run; ``make clients`` makes it."""
    passed: re.Pattern[str]
    skipped: re.Pattern[str]
    failed: re.Pattern[str]

    def failure(self, said: str) -> str:
        """What stands around the words on the first failure, or the last words where there are none."""
        lines = said.splitlines()
        first = next((place for place, line in enumerate(lines) if self.failed.search(line)), len(lines))
        return "\n".join(lines[max(0, first - _SHOWN_LINES // 2) :][:_SHOWN_LINES])

    def closing_lines(self, said: str) -> list[str]:
        """Those that tell what passed."""
        return [line.strip() for line in said.splitlines() if self.passed.search(line)]

    def left_out(self, said: str) -> list[str]:
        """The lines of tests that were skipped; a count of none is none."""
        found = (self.skipped.search(line) for line in said.splitlines())
        return [match.string.strip() for match in found if match and match.group(1) != "0"]


_GO, _JAVA, _NODE = (ROOT / "clients" / name for name in ("go", "java", "node"))

SUITES = (
    LanguageSuite(
        "go", _GO, ("go", "test", "-count=1", "-v", "./..."), _GO / "go.mod",
        passed=re.compile(r"^ok\s"), skipped=re.compile(r"^\s*--- SKIP: (\S+)"),
        failed=re.compile(r"^\s*(--- FAIL|panic:|WARNING: DATA RACE|# )"),
    ),
    LanguageSuite(
        "java", _JAVA, ("mvn", "--batch-mode", "--no-transfer-progress", "verify"),
        _JAVA / "client" / "target" / "classes",
        passed=re.compile(r"Tests run: \d+, Failures: 0, Errors: 0, Skipped: \d+$"),
        skipped=re.compile(r"Tests run: .*, Skipped: (\d+)$"),
        failed=re.compile(r"^\[ERROR\]"),
    ),
    LanguageSuite(
        "node", _NODE, ("npm", "test", "--silent"), _NODE / "build" / "test",
        passed=re.compile(r"^\S+ (tests|pass) \d+"), skipped=re.compile(r"^\S+ (?:skipped|todo|cancelled) (\d+)"),
        failed=re.compile(r"^\s*not ok"),
    ),
)  # fmt: skip
