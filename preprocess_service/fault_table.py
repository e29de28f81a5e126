"""What each of the service's errors becomes for the caller: the contract's codes and reasons, in one table."""

from __future__ import annotations

from grpc import StatusCode

from preprocess_service import errors
from rpc_runtime.faults import FaultRow, FaultTable
from rpc_runtime.protocol_errors import PROTOCOL_FAULTS

FAULT_TABLE = FaultTable(
    {
        **PROTOCOL_FAULTS,
        errors.ImageEmpty: FaultRow(StatusCode.INVALID_ARGUMENT, "IMAGE_EMPTY"),
        errors.ImageUndecodable: FaultRow(StatusCode.INVALID_ARGUMENT, "IMAGE_UNDECODABLE"),
        errors.PageBeyondTime: FaultRow(StatusCode.INVALID_ARGUMENT, "IMAGE_UNDECODABLE"),
        errors.PageBeyondMemory: FaultRow(StatusCode.INVALID_ARGUMENT, "IMAGE_UNDECODABLE"),
        errors.DecoderCrashed: FaultRow(StatusCode.INVALID_ARGUMENT, "IMAGE_UNDECODABLE"),
        errors.PasswordRequired: FaultRow(StatusCode.INVALID_ARGUMENT, "PASSWORD_REQUIRED"),
        errors.FormatUnsupported: FaultRow(StatusCode.INVALID_ARGUMENT, "FORMAT_UNSUPPORTED"),
        errors.RegionOutOfImage: FaultRow(StatusCode.INVALID_ARGUMENT, "REGION_OUT_OF_IMAGE"),
        errors.FieldInvalid: FaultRow(StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
        errors.ProfileUnknown: FaultRow(StatusCode.INVALID_ARGUMENT, "PROFILE_UNKNOWN"),
        errors.ProfileParameterInvalid: FaultRow(StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
        errors.ImageTooLargeBytes: FaultRow(StatusCode.OUT_OF_RANGE, "IMAGE_TOO_LARGE_BYTES"),
        errors.ImageTooLargePixels: FaultRow(StatusCode.OUT_OF_RANGE, "IMAGE_TOO_LARGE_PIXELS"),
        errors.TooManyPages: FaultRow(StatusCode.OUT_OF_RANGE, "TOO_MANY_PAGES"),
        errors.PageOutOfDocument: FaultRow(StatusCode.OUT_OF_RANGE, "PAGE_OUT_OF_DOCUMENT"),
        errors.ContentRequired: FaultRow(StatusCode.NOT_FOUND, "CONTENT_REQUIRED"),
        errors.ProviderUnknown: FaultRow(StatusCode.NOT_FOUND, "PROVIDER_UNKNOWN"),
        errors.GatewayUnavailable: FaultRow(StatusCode.UNAVAILABLE, "GATEWAY_UNAVAILABLE"),
        errors.GatewayRefusesService: FaultRow(StatusCode.UNAVAILABLE, "GATEWAY_UNAVAILABLE"),
        errors.WorkersUnavailable: FaultRow(StatusCode.UNAVAILABLE, "WORKERS_UNAVAILABLE"),
        errors.DeadlineUnreachable: FaultRow(StatusCode.DEADLINE_EXCEEDED, "DEADLINE_UNREACHABLE"),
        errors.PageTimeout: FaultRow(StatusCode.DEADLINE_EXCEEDED, "PROVIDER_TIMEOUT"),
    }
)
