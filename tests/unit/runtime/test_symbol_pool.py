"""What server reflection finds."""

from __future__ import annotations

import pytest

from ocrmux.preprocess.v1 import preprocess_pb2
from rpc_runtime.symbol_pool import symbol_pool

FILE = preprocess_pb2.DESCRIPTOR.name
PACKAGE = preprocess_pb2.DESCRIPTOR.package


@pytest.mark.parametrize(
    "symbol", ["PreprocessService", "PreprocessService.StreamRecognize", "SourceItem", "SourceItem.password"]
)
def test_a_symbol_of_any_kind_gives_its_file(symbol: str) -> None:
    """Services, methods, messages and fields."""
    assert symbol_pool().FindFileContainingSymbol(f"{PACKAGE}.{symbol}").name == FILE


@pytest.mark.parametrize("symbol", ["PreprocessService.Nothing", "Nothing", "Nothing.Recognize", ""])
def test_what_there_is_not_is_a_key_error(symbol: str) -> None:
    """As protobuf's own pool says it."""
    with pytest.raises(KeyError):
        symbol_pool().FindFileContainingSymbol(f"{PACKAGE}.{symbol}")


def test_everything_else_is_the_pools_own() -> None:
    """Files are found by their names."""
    assert symbol_pool().FindFileByName(FILE).name == FILE
