"""Every hostile or odd file of the corpus, by name."""

from __future__ import annotations

from tests.fakes.hostile_boxes import box_files
from tests.fakes.hostile_cuts import cut_files
from tests.fakes.hostile_file import HostileFile
from tests.fakes.hostile_pdfs import costly_pdf_files, pdf_files
from tests.fakes.hostile_rasters import raster_files
from tests.fakes.hostile_tiffs import tiff_files


def hostile_files() -> dict[str, HostileFile]:
    """All of them, in a fixed order. Raises ValueError where two have one name."""
    files = (*raster_files(), *tiff_files(), *box_files(), *pdf_files(), *costly_pdf_files(), *cut_files())
    by_name = {file.name: file for file in files}
    if len(by_name) != len(files):
        raise ValueError(f"{len(files) - len(by_name)} files share a name")
    return by_name
