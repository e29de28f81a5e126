"""The error contract: each service's one table, against the errors that there are and the reasons of the proto."""

from __future__ import annotations

import importlib
import inspect
import re
from pathlib import Path

import pytest

from ocrmux.ocr.v1.error_reason_pb2 import ErrorReason
from rpc_runtime.expected_error import ExpectedError
from rpc_runtime.faults import FaultTable

ROOT = Path(__file__).resolve().parents[2]
REASON_PREFIX = "ERROR_REASON_"
SERVICES = ("ocr_gateway", "preprocess_service")


def table_of(service: str) -> FaultTable:
    """The service's fault table."""
    table = importlib.import_module(f"{service}.fault_table").FAULT_TABLE
    assert isinstance(table, FaultTable)
    return table


def errors_that_can_be_raised(module_name: str) -> set[type[ExpectedError]]:
    """The expected errors of a module that nothing derives from."""
    module = importlib.import_module(module_name)
    return {
        error
        for _, error in inspect.getmembers(module, inspect.isclass)
        if issubclass(error, ExpectedError) and error.__module__ == module_name and not error.__subclasses__()
    }


def codes_by_reason() -> dict[str, str]:
    """The gRPC code that the proto says with each reason."""
    proto = (ROOT / "proto" / "ocrmux" / "ocr" / "v1" / "error_reason.proto").read_text(encoding="utf-8")
    return {
        reason: code
        for code, reason in re.findall(rf"// ([A-Z_]+)[:,][^\n]*\n(?:\s*//[^\n]*\n)*\s*{REASON_PREFIX}(\w+) =", proto)
    }


@pytest.mark.parametrize("service", SERVICES)
def test_every_error_stands_in_the_table_once(service: str) -> None:
    """Each error that the service or its runtime can raise has a row, and each row is of such an error."""
    errors = errors_that_can_be_raised(f"{service}.errors") | errors_that_can_be_raised("rpc_runtime.protocol_errors")
    assert set(table_of(service).rows) == errors


@pytest.mark.parametrize("service", SERVICES)
def test_expected_errors_are_defined_in_the_services_vocabulary(service: str) -> None:
    """No module beside errors.py defines an expected error, so none can be missing from the table."""
    elsewhere = [
        str(path.relative_to(ROOT))
        for path in (ROOT / service).rglob("*.py")
        if path.name != "errors.py"
        and re.search(r"^class \w+\((ExpectedError|\w+, ExpectedError)", path.read_text(), re.M)
    ]
    assert elsewhere == []


@pytest.mark.parametrize("service", SERVICES)
def test_every_reason_is_one_of_the_proto_with_its_code(service: str) -> None:
    """Each row's reason is an ErrorReason, and its code the one that the proto promises with it."""
    promised = codes_by_reason()
    assert promised.keys() == {name.removeprefix(REASON_PREFIX) for name in list(ErrorReason.keys())} - {"UNSPECIFIED"}
    rows = table_of(service).rows
    wrong = [
        f"{error.__name__}: {row.code.name} {row.reason}, promised {promised.get(row.reason)}"
        for error, row in rows.items()
        if promised.get(row.reason) != row.code.name
    ]
    assert wrong == []


def test_both_services_answer_a_reason_with_one_code() -> None:
    """A caller meets a reason under one code, whichever service it asks."""
    codes: dict[str, set[str]] = {}
    for service in SERVICES:
        for row in table_of(service).rows.values():
            codes.setdefault(row.reason, set()).add(row.code.name)
    assert [reason for reason, names in codes.items() if len(names) != 1] == []
