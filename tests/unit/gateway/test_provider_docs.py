"""The documentation of providers is that of the code: kinds, settings, variables, and settings that are good."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from ocr_gateway.config_check import load_settings
from ocr_gateway.identity.field_names import FieldName
from ocr_gateway.provider_settings import KINDS
from ocr_gateway.providers.catalogue import REMOTE_KINDS
from ocr_gateway.providers.remote.settings import RemoteFeature, RemoteSettings
from ocr_gateway.setting_parts import ProviderPart, SecretSource
from ocr_gateway.settings import GatewaySettings

DOCS = Path(__file__).resolve().parents[3] / "docs"
INDEX = DOCS / "providers.md"
ROW = re.compile(r"^\| \[`(\w+)`\]\((providers/\w+\.md)\)", re.MULTILINE)
INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)
COMMON = {*RemoteFeature.model_fields, *RemoteSettings.model_fields, *ProviderPart.model_fields}


def pages() -> dict[str, Path]:
    """The page of each kind, as the index says."""
    return {kind: DOCS / page for kind, page in ROW.findall(INDEX.read_text())}


def own_keys(section: type[BaseModel]) -> Iterator[str]:
    """The settings that a kind has besides those of all, with those of its sections."""
    for name, field in section.model_fields.items():
        if name not in {*COMMON, "text", "table", "id"}:
            yield name
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, BaseModel) and not issubclass(part, SecretSource):
                yield from (
                    own_keys(part) if name in ("features", "credentials", "text", "table", "id", "outputs") else ()
                )


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings of whoever runs the tests."""
    for name in GatewaySettings.model_fields:
        monkeypatch.delenv(f"GATEWAY_{name.upper()}", raising=False)
    for remote in REMOTE_KINDS.values():
        for variable in remote.settings.key_variables.values():
            monkeypatch.delenv(variable, raising=False)


def test_every_kind_stands_in_the_index_with_a_page() -> None:
    """A row each, no kind that there is not, and no page that the index does not name."""
    assert set(pages()) == set(KINDS)
    assert set(pages().values()) == set((DOCS / "providers").glob("*.md"))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_page_names_all_that_is_set(kind: str) -> None:
    """Its kind, each setting that others do not have, and the variables that hold its keys."""
    page = pages()[kind].read_text()
    wanted = {kind, *own_keys(KINDS[kind])}
    if kind in REMOTE_KINDS:
        wanted |= set(REMOTE_KINDS[kind].settings.key_variables.values())
    assert sorted(name for name in wanted if not re.search(rf"\b{re.escape(name)}\b", page)) == []


@pytest.mark.parametrize("page", [INDEX, *sorted((DOCS / "providers").glob("*.md"))], ids=lambda page: page.stem)
def test_the_settings_on_a_page_are_good(page: Path, tmp_path: Path) -> None:
    """Each block of settings passes the check as it stands, whatever keys there are."""
    blocks: list[str] = [
        block for block in INDENTED.findall(page.read_text()) if re.search("^    providers:", block, re.M)
    ]
    assert blocks
    for block in blocks:
        file = tmp_path / "gateway.yaml"
        file.write_text(block)
        settings: Any = load_settings(file)
        assert settings.providers_in_use


def test_every_field_stands_in_the_list() -> None:
    """The canonical names, in the first column of the one table."""
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", (DOCS / "api.md").read_text(), re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert [name for name in FieldName if listed.count(name) != 1] == []


def test_every_link_leads_somewhere() -> None:
    """Each file that the index or a page links is there, with the heading that is named."""
    lost = []
    for page in (INDEX, *pages().values()):
        for target in re.findall(r"\]\(([^)#:]*\.md)?(?:#([\w-]+))?\)", page.read_text()):
            other = (page.parent / target[0]) if target[0] else page
            if not other.exists() or (target[1] and target[1] not in anchors(other)):
                lost.append((page.name, *target))
    assert lost == []


def anchors(page: Path) -> set[str]:
    """The headings of a page, as links name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-") for heading in headings}
