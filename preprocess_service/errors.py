"""The preprocess service's expected errors. ``fault_table`` says what each becomes for the caller."""

from __future__ import annotations

from collections.abc import Iterable

from rpc_runtime.expected_error import ExpectedError


class ImageEmpty(ExpectedError):
    """An item whose file has no bytes."""

    field = "item.image"

    def __init__(self) -> None:
        super().__init__("the image is empty: 0 bytes")


class ImageUndecodable(ExpectedError):
    """Bytes that are no image, or a damaged one."""

    field = "item.image"

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"the image cannot be decoded: {detail}")


class PageBeyondTime(ExpectedError):
    """A page whose making took longer than a page may; its worker was stopped."""

    field = "item.image"

    def __init__(self, *, limit_s: float) -> None:
        self.limit_s = limit_s
        super().__init__(f"the image cannot be decoded: its page takes longer than {limit_s:g} s to make")

    @property
    def metadata(self) -> dict[str, str]:
        return {"limit": f"{self.limit_s:g}", "unit": "seconds"}


class PageBeyondMemory(ExpectedError):
    """A page whose making asked for more memory than a worker may have."""

    field = "item.image"

    def __init__(self, *, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        super().__init__(f"the image cannot be decoded: its page needs more memory than {limit_bytes} bytes")

    @property
    def metadata(self) -> dict[str, str]:
        return {"limit": str(self.limit_bytes), "unit": "bytes"}


class DecoderCrashed(ExpectedError):
    """A page that brought down the worker that made it."""

    field = "item.image"

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(f"the image cannot be decoded: the process that decoded it {detail}")


class WorkersUnavailable(ExpectedError):
    """No worker process can be started on this machine at the moment; the log says why."""

    retry_after_s = 1.0

    def __init__(self) -> None:
        super().__init__("no worker process for images can be started")


class PasswordRequired(ExpectedError):
    """An encrypted document without its password, or with a wrong one."""

    field = "item.password"

    def __init__(self, *, given: bool) -> None:
        self.given = given
        super().__init__(
            "the document is encrypted and the password does not open it" if given else "the document is encrypted"
        )


class FormatUnsupported(ExpectedError):
    """A format that is known and not taken here."""

    field = "item.image"

    def __init__(self, media_type: str, supported: Iterable[str]) -> None:
        self.media_type = media_type
        self.supported = tuple(supported)
        super().__init__(f"{media_type} is not supported; supported are {', '.join(self.supported)}")

    @property
    def metadata(self) -> dict[str, str]:
        return {"media_type": self.media_type, "supported": ",".join(self.supported)}


class _OverLimit(ExpectedError):
    """Something larger than its limit."""

    field = "item.image"

    def __init__(self, message: str, *, value: int, limit: int, unit: str) -> None:
        self.value = value
        self.limit = limit
        self.unit = unit
        super().__init__(message)

    @property
    def metadata(self) -> dict[str, str]:
        return {"value": str(self.value), "limit": str(self.limit), "unit": self.unit}


class ImageTooLargeBytes(_OverLimit):
    """A file, or a page made from it, of more bytes than the limit."""

    def __init__(self, *, value: int, limit: int) -> None:
        super().__init__(
            f"an image of {value} bytes is over the limit of {limit} bytes", value=value, limit=limit, unit="bytes"
        )


class ImageTooLargePixels(_OverLimit):
    """A page of more pixels than the limit, by the file's own header; nothing was decoded."""

    def __init__(self, *, width: int, height: int, limit: int) -> None:
        self.width = width
        self.height = height
        value = width * height
        super().__init__(
            f"an image of {width} x {height} = {value} pixels is over the limit of {limit} pixels",
            value=value,
            limit=limit,
            unit="pixels",
        )


class TooManyPages(_OverLimit):
    """A document of more pages than the limit; none was decoded."""

    def __init__(self, *, value: int, limit: int) -> None:
        super().__init__(
            f"a document of {value} pages is over the limit of {limit} pages", value=value, limit=limit, unit="pages"
        )


class PageOutOfDocument(ExpectedError):
    """A page that the document does not have."""

    field = "page"

    def __init__(self, *, page: int, page_count: int) -> None:
        self.page = page
        self.page_count = page_count
        super().__init__(f"there is no page {page} in a document of {page_count} pages")

    @property
    def metadata(self) -> dict[str, str]:
        return {"page": str(self.page), "page_count": str(self.page_count)}


class RegionOutOfImage(ExpectedError):
    """A region that has no area or lies outside the page."""

    field = "item.regions"

    def __init__(self, region: tuple[float, float, float, float], *, width: int, height: int) -> None:
        x, y, region_width, region_height = region
        super().__init__(
            f"the region x={x:g} y={y:g} width={region_width:g} height={region_height:g} does not lie inside the page "
            f"of {width} x {height} pixels"
        )


class FieldInvalid(ExpectedError):
    """A field of the configuration or the item that has no meaning here."""

    def __init__(self, field: str, description: str) -> None:
        self.field = field
        super().__init__(description)


class ContentRequired(ExpectedError):
    """Only a digest was sent and nothing is cached for it."""

    field = "item.image.content"
    frees_request_id = True

    def __init__(self) -> None:
        super().__init__("nothing is cached for this digest: send the content under the same request_id")


class GatewayUnavailable(ExpectedError):
    """The gateway cannot be reached, or went away and did not come back in time."""

    retry_after_s = 1.0

    def __init__(self, detail: str) -> None:
        super().__init__(f"the gateway is not available: {detail}")


class GatewayRefusesService(ExpectedError):
    """The gateway does not take this service's own token: a fault of the set-up, and none of the caller's."""

    retry_after_s = 5.0

    def __init__(self) -> None:
        super().__init__("the gateway is not available: it does not take this service's own token; its operator knows")


class PageTimeout(ExpectedError):
    """A page's time ended while the gateway had it."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"the page was not read within the item's {timeout_s:g} s")


class DeadlineUnreachable(ExpectedError):
    """A page's time ended before the gateway was asked; nothing was spent."""

    def __init__(self, timeout_s: float) -> None:
        super().__init__(f"the item's {timeout_s:g} s ended before the page was normalised; no provider was asked")


class ProviderUnknown(ExpectedError):
    """No provider of this name, by what the gateway says."""

    field = "normalization.provider"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(f"no provider is named {name!r}; known are {', '.join(self.known)}")

    @property
    def metadata(self) -> dict[str, str]:
        return {"name": self.name, "known": ",".join(self.known)}


class ProfileUnknown(ExpectedError):
    """No profile of this name."""

    field = "normalization.profile"

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name = name
        self.known = tuple(known)
        super().__init__(f"no profile is named {name!r}; known are {', '.join(self.known)}")

    @property
    def metadata(self) -> dict[str, str]:
        return {"name": self.name, "known": ",".join(self.known)}


class ProfileParameterInvalid(ExpectedError):
    """An override of a parameter that the profile does not have, or with a value that it cannot take."""

    field = "normalization.overrides"

    def __init__(self, parameter: str, detail: str) -> None:
        self.parameter = parameter
        super().__init__(f"the override {parameter!r} cannot be applied: {detail}")

    @property
    def metadata(self) -> dict[str, str]:
        return {"parameter": self.parameter}
