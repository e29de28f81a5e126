"""docs/api-reference.md has everything that a caller can name, and its links lead somewhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FileDescriptor

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import document_pb2, error_reason_pb2, geometry_pb2, image_pb2, recognition_pb2
from ocrmux.preprocess.v1 import preprocess_pb2
from tests.fakes.languages import ROOT

FILES: tuple[FileDescriptor, ...] = tuple(
    module.DESCRIPTOR
    for module in (
        *(gateway_pb2, preprocess_pb2),
        *(document_pb2, error_reason_pb2, geometry_pb2, image_pb2, recognition_pb2),
    )
)
PAGE = (ROOT / "docs" / "api-reference.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r'^### <a id="([\w-]+)"></a>\w+\n((?:(?!##).*\n)*)', PAGE, re.MULTILINE))


def anchor(full_name: str) -> str:
    return full_name.lower().replace(".", "-")


def messages(of: list[Descriptor]) -> Iterator[Descriptor]:
    for message in of:
        if not message.GetOptions().map_entry:
            yield message
            yield from messages(list(message.nested_types))


def enums() -> Iterator[EnumDescriptor]:
    for file in FILES:
        yield from file.enum_types_by_name.values()
        for message in messages(list(file.message_types_by_name.values())):
            yield from message.enum_types


def test_all_protos_are_looked_at() -> None:
    """The modules above are all that there are."""
    assert {file.name for file in FILES} == {
        path.relative_to(ROOT / "proto").as_posix() for path in (ROOT / "proto" / "ocrmux").rglob("*.proto")
    }


def test_services_have_their_rpcs() -> None:
    """Each with what it takes and gives, and whether that is a stream."""
    for file in FILES:
        for service in file.services_by_name.values():
            rows = SECTIONS[anchor(service.full_name)]
            for method in service.methods:
                [row] = re.findall(rf"^\| `{method.name}` \| (.*)$", rows, re.MULTILINE)
                takes, gives, comment = row.removesuffix(" |").split(" | ")
                assert f"(#{anchor(method.input_type.full_name)})" in takes
                assert f"(#{anchor(method.output_type.full_name)})" in gives
                assert ("stream of " in takes, "stream of " in gives) == (
                    method.client_streaming,
                    method.server_streaming,
                )
                assert comment


def test_messages_have_their_fields() -> None:
    """Each with its number and its type, and under the name of its oneof."""
    for file in FILES:
        for message in messages(list(file.message_types_by_name.values())):
            rows = SECTIONS[anchor(message.full_name)]
            for field in message.fields:
                assert re.search(rf"^\| (– )?`{field.name}` \| {field.number} \| \S.* \| \S.* \|$", rows, re.MULTILINE)
            for oneof in message.oneofs:
                if not oneof.name.startswith("_"):  # that of an optional field
                    members = "".join(rf"\| – `{field.name}` .*\n" for field in oneof.fields)
                    assert re.search(rf"^\| one of: \*\*{oneof.name}\*\* .*\n{members}", rows, re.MULTILINE)


def test_enums_have_their_values() -> None:
    """Each with its number."""
    for enum in enums():
        rows = SECTIONS[anchor(enum.full_name)]
        for value in enum.values:
            assert re.search(rf"^\| `{value.name}` \| {value.number} \| \S.* \|$", rows, re.MULTILINE)


def test_links_lead_to_sections() -> None:
    """Every link within the page has its target, and every section is linked to from the contents."""
    links = set(re.findall(r"\]\(#([\w-]+)\)", PAGE))
    assert links == SECTIONS.keys()


def test_types_read_as_they_are_written() -> None:
    """Repeated, optional and map fields, and Google's own types, look as a reader of protos expects."""
    config = SECTIONS["ocrmux-ocr-v1-recognitionconfig"]
    assert "| `features` | 1 | repeated [Feature](#ocrmux-ocr-v1-feature) |" in config
    assert "| `provider_options` | 8 | map of string to string |" in config
    assert "| `item_timeout` | 7 | [google.protobuf.Duration](https://protobuf.dev/" in config
    assert "| `skew_deg` | 2 | optional double |" in SECTIONS["ocrmux-ocr-v1-pagemeasures"]
