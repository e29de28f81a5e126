"""The scenarios of ``tests/conformance``: what a file may say, checked when it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml  # type: ignore[import-untyped]
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

FOLDER = Path(__file__).resolve().parents[2] / "conformance"
RUN_MAX_S = 120.0
_ACTION = r"(kill|terminate|start) (gateway|preprocess|preprocess-2)|settle|serve another|go on|free the calls"


class Part(BaseModel):
    """Frozen; a key that is not known is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _both(given: Any) -> Any:
    return (given, given) if isinstance(given, int | float) else given


Bounds = Annotated[tuple[float | None, float | None], BeforeValidator(_both)]
"""Least and most, null for no bound; a number alone is both."""


class Servers(Part):
    """The servers before which a scenario is played. Scenarios that ask for the same ones share them."""

    replicas: Literal[1, 2] = 1
    redis: bool = False
    """The gateway's store is a Redis; otherwise a file, which outlives the gateway too."""
    tls: bool = False
    mutual: bool = False
    """The preprocess service asks callers for certificates."""
    tokens: bool = False
    preprocess: dict[str, str] = Field(default_factory=dict)
    """Its settings by name."""
    gateway: dict[str, Any] = Field(default_factory=dict)
    """Sections of its settings file."""


class Items(Part):
    """One item, or ``count`` of them, and what is to be answered.

    The ids of several are ``id`` and a number from 1. ``number`` tells which of the distinct images it is; of several,
    the first one's.
    """

    id: str
    content: Literal[
        "image", "damaged", "empty", "no_image", "huge_pixels", "missing_file", "tiff", "pdf", "locked_pdf"
    ] = "image"
    count: int = Field(default=1, ge=1)
    number: int = 1
    bytes: int = Field(default=2000, ge=500, description="Of an image, about.")
    pages: int = Field(default=1, ge=1, description="Of a TIFF or a PDF.")
    in_memory: bool = False
    regions: list[tuple[float, float, float, float]] = Field(default_factory=list)
    password: str = ""
    code: str = "OK"
    reason: str = ""
    error_page: int = Field(default=0, description="The page whose error it is; 0: of the item as a whole.")
    metadata: list[str] = Field(default_factory=list, description="Keys that the error has.")
    fields: list[str] = Field(default_factory=list, description="Names of fields that the answer has.")

    @property
    def ids(self) -> list[str]:
        """Of the items, in order."""
        return [self.id] if self.count == 1 else [f"{self.id}{place}" for place in range(1, self.count + 1)]


class Generated(Part):
    """Items that the driver makes by itself; see the drivers' README."""

    count: int
    bytes: int


class DriverInput(Part):
    """What the driver is told, but for what only the harness knows: addresses, files."""

    call: Literal["stream", "recognize", "list_providers"] = "stream"
    token: Literal["right", "wrong", "none"] = "right"
    """Where the servers want one; else none is sent."""
    ca: Literal["right", "wrong"] = "right"
    certificate: bool = False
    """The client shows one of its own."""
    tenant: str = ""
    config: dict[str, Any] = Field(default_factory=dict)
    policy: dict[str, Any] = Field(default_factory=dict)
    items: list[Items] = Field(default_factory=list)
    generated: Generated | None = None
    hold_after: int | None = None
    cancel_after: int | None = None


class Event(Part):
    """What happens when the driver has told so many answers, so many reconnects, or that it holds."""

    answers: int | None = None
    reconnects: int | None = None
    holding: bool = False
    do: list[Annotated[str, Field(pattern=f"^({_ACTION})$")]] = Field(min_length=1)

    @model_validator(mode="after")
    def _has_one_cause(self) -> Event:
        if [self.answers is not None, self.reconnects is not None, self.holding].count(True) != 1:
            raise ValueError("one of answers, reconnects and holding says when")
        return self


class Expectation(Part):
    """What must come of it. What is not said here: no reconnect, and every item answered as the item says."""

    end: str = "OK"
    reason: str = ""
    retry_after: bool = False
    unanswered: Bounds = (0, 0)
    """Items without an answer; of those that have one it must be right all the same."""
    in_order: bool = False
    cache: list[str] = Field(default_factory=list)
    """The outcomes that answers of items may have; empty: any."""
    reconnects: Bounds = (0, 0)
    causes: list[str] = Field(default_factory=list)
    """Code and reason of each reconnect is one of these; empty: any."""
    billed: Bounds | None = None
    """Images that the provider billed."""
    billed_while_held: Bounds | None = None
    drawn_while_held: Bounds | None = None
    drawn: Bounds | None = None
    sent: Bounds | None = None
    """Items that reached the preprocess service, by its log; there must have been a call."""
    providers: list[str] = Field(default_factory=list)
    """Among those that ListProviders has."""
    rss_growth_mb: Bounds | None = None
    """Of the driver's process from its first answer to its peak, MB (10^6 bytes)."""


class Scenario(Part):
    """One file."""

    name: str
    summary: str
    servers: Servers = Field(default_factory=Servers)
    standin: dict[str, Any] = Field(default_factory=dict)
    """Settings of the stand-in provider, by ``tests.fakes.standin.settings``."""
    runs_before: Literal[0, 1] = 0
    """The same input is read once before, with all of it answered OK."""
    between: list[Annotated[str, Field(pattern=f"^({_ACTION})$")]] = Field(default_factory=list)
    calls_taken: bool = False
    """Every call that the preprocess service takes is taken by somebody else, until ``free the calls``."""
    driver: DriverInput
    events: list[Event] = Field(default_factory=list)
    expect: Expectation = Field(default_factory=Expectation)


def load(file: Path) -> Scenario:
    """The scenario in a file. Raises pydantic's ValidationError, which names the key."""
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    return Scenario.model_validate({"name": file.stem, **content})


def every_scenario() -> list[Scenario]:
    """By name."""
    return [load(file) for file in sorted(FOLDER.glob("*.yaml"))]
