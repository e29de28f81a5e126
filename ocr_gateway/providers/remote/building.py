"""Makes a provider of a dialect and its settings, where its keys need no token."""

from __future__ import annotations

from ocr_gateway.providers.remote.access import Keys
from ocr_gateway.providers.remote.dialect import Dialect
from ocr_gateway.providers.remote.provider import RemoteProvider
from ocr_gateway.providers.remote.settings import RemoteSettings


def remote_provider(dialect: Dialect, settings: RemoteSettings) -> RemoteProvider:
    """The provider for a dialect whose keys, if any, are its own: nothing is fetched."""
    name = dialect.description.name
    return RemoteProvider(
        dialect,
        http=settings.http_client(),
        access=Keys(name, missing=settings.keys.missing if settings.keys else ""),
        kept=settings.kept(),
        timeout_s=settings.timeout_s,
        day_offset_s=round(settings.day_offset_h * 3600),
    )


def bearer(token: str | None) -> dict[str, str]:
    """The header of a bearer token (RFC 6750); none where there is no token."""
    return {"Authorization": f"Bearer {token}"} if token else {}
