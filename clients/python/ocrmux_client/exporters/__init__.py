"""Output formats, one file each behind one port."""

from __future__ import annotations

import enum
from pathlib import PurePath

from ocrmux_client.errors import UsageProblem
from ocrmux_client.exporters.base import Exporter
from ocrmux_client.exporters.csv import CsvExporter
from ocrmux_client.exporters.jsonl import JsonlExporter
from ocrmux_client.exporters.md import MarkdownExporter
from ocrmux_client.exporters.txt import TextExporter
from ocrmux_client.records import PageRecord

__all__ = ["LATER_FORMATS", "Exporter", "OutputFormat", "exporter_for", "format_for", "format_named"]


class OutputFormat(enum.Enum):
    """How results are written."""

    JSONL = "jsonl"
    TXT = "txt"
    CSV = "csv"
    MD = "md"


LATER_FORMATS = ("hocr", "alto", "pdf")
"""Formats that the command line is to have and does not have yet."""

_SUFFIXES = {
    ".jsonl": OutputFormat.JSONL,
    ".ndjson": OutputFormat.JSONL,
    ".txt": OutputFormat.TXT,
    ".csv": OutputFormat.CSV,
    ".md": OutputFormat.MD,
    ".markdown": OutputFormat.MD,
}


def exporter_for(output_format: OutputFormat) -> Exporter[PageRecord]:
    """The exporter of this format."""
    exporters: dict[OutputFormat, type[Exporter[PageRecord]]] = {
        OutputFormat.JSONL: JsonlExporter,
        OutputFormat.TXT: TextExporter,
        OutputFormat.CSV: CsvExporter,
        OutputFormat.MD: MarkdownExporter,
    }
    return exporters[output_format]()


def format_for(file_name: str) -> OutputFormat:
    """The format that a file's suffix tells; JSONL where it tells none. UsageProblem for one of LATER_FORMATS."""
    suffix = PurePath(file_name).suffix.lower()
    if suffix.removeprefix(".") in LATER_FORMATS:
        return format_named(suffix.removeprefix("."))
    return _SUFFIXES.get(suffix, OutputFormat.JSONL)


def format_named(name: str) -> OutputFormat:
    """The format of this name. Raises UsageProblem, in other words for a format that a later release has."""
    try:
        return OutputFormat(name)
    except ValueError:
        known = ", ".join(known.value for known in OutputFormat)
        if name in LATER_FORMATS:
            raise UsageProblem(f"hocr, alto and pdf come in a later release; this one writes {known}") from None
        raise UsageProblem(f"{name!r} is no format; there are {known}") from None
