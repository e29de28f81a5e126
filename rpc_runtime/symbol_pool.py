"""The protos that server reflection tells of."""

from __future__ import annotations

from typing import Any, cast

from google.protobuf.descriptor_pool import Default, DescriptorPool


def symbol_pool() -> DescriptorPool:
    """The default pool of protos, which also finds the file of a method.

    Protobuf's own pool knows files by messages, fields and services only; ghz asks for the method that it calls, as
    grpc.reflection allows.
    """
    return cast(DescriptorPool, _SymbolPool())


class _SymbolPool:
    def __init__(self) -> None:
        self._pool: Any = Default()

    def FindFileContainingSymbol(self, symbol: str) -> Any:
        """The file that declares the symbol. Raises KeyError."""
        service_name, _, method = symbol.rpartition(".")
        try:
            service = self._pool.FindServiceByName(service_name)
        except KeyError:
            return self._pool.FindFileContainingSymbol(symbol)
        if method not in service.methods_by_name:
            raise KeyError(symbol)
        return service.file

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)
