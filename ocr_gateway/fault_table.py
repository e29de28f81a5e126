"""What each of the gateway's errors becomes for the caller: the contract's codes and reasons, in one table."""

from __future__ import annotations

from grpc import StatusCode

from ocr_gateway import errors
from rpc_runtime.faults import FaultRow, FaultTable
from rpc_runtime.protocol_errors import PROTOCOL_FAULTS

FAULT_TABLE = FaultTable(
    {
        **PROTOCOL_FAULTS,
        errors.ImageEmpty: FaultRow(StatusCode.INVALID_ARGUMENT, "IMAGE_EMPTY"),
        errors.ImageUndecodable: FaultRow(StatusCode.INVALID_ARGUMENT, "IMAGE_UNDECODABLE"),
        errors.FormatUnsupported: FaultRow(StatusCode.INVALID_ARGUMENT, "FORMAT_UNSUPPORTED"),
        errors.RegionOutOfImage: FaultRow(StatusCode.INVALID_ARGUMENT, "REGION_OUT_OF_IMAGE"),
        errors.FieldInvalid: FaultRow(StatusCode.INVALID_ARGUMENT, "FIELD_INVALID"),
        errors.ImageTooLargeBytes: FaultRow(StatusCode.OUT_OF_RANGE, "IMAGE_TOO_LARGE_BYTES"),
        errors.ImageTooLargePixels: FaultRow(StatusCode.OUT_OF_RANGE, "IMAGE_TOO_LARGE_PIXELS"),
        errors.ImageSideTooLong: FaultRow(StatusCode.OUT_OF_RANGE, "IMAGE_TOO_LARGE_PIXELS"),
        errors.ImageShapeUnsupported: FaultRow(StatusCode.INVALID_ARGUMENT, "IMAGE_SHAPE_UNSUPPORTED"),
        errors.ContentRequired: FaultRow(StatusCode.NOT_FOUND, "CONTENT_REQUIRED"),
        errors.ProviderUnknown: FaultRow(StatusCode.NOT_FOUND, "PROVIDER_UNKNOWN"),
        errors.FeatureUnsupported: FaultRow(StatusCode.FAILED_PRECONDITION, "FEATURE_UNSUPPORTED_BY_PROVIDER"),
        errors.ProviderNotConfigured: FaultRow(StatusCode.FAILED_PRECONDITION, "PROVIDER_NOT_CONFIGURED"),
        errors.ProviderThrottled: FaultRow(StatusCode.RESOURCE_EXHAUSTED, "PROVIDER_QUOTA"),
        errors.ProviderQuotaSpent: FaultRow(StatusCode.RESOURCE_EXHAUSTED, "PROVIDER_QUOTA"),
        errors.ProviderBudgetSpent: FaultRow(StatusCode.RESOURCE_EXHAUSTED, "PROVIDER_QUOTA"),
        errors.TenantBudgetSpent: FaultRow(StatusCode.RESOURCE_EXHAUSTED, "TENANT_QUOTA"),
        errors.ProviderUnavailable: FaultRow(StatusCode.UNAVAILABLE, "PROVIDER_UNAVAILABLE"),
        errors.DeadlineUnreachable: FaultRow(StatusCode.DEADLINE_EXCEEDED, "DEADLINE_UNREACHABLE"),
        errors.ProviderTimeout: FaultRow(StatusCode.DEADLINE_EXCEEDED, "PROVIDER_TIMEOUT"),
    }
)
