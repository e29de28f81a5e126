"""The provider, made of its settings."""

from __future__ import annotations

from ocr_gateway.providers.google.dialect import GoogleDialect
from ocr_gateway.providers.google.settings import GoogleSettings
from ocr_gateway.providers.remote.access import Access, Keys
from ocr_gateway.providers.remote.provider import RemoteProvider


def build_google(name: str, settings: GoogleSettings) -> RemoteProvider:
    """The provider. Keys that are not there, or make no sense, show in its status."""
    http, missing = settings.http_client(), settings.credentials.missing
    secret = settings.credentials.read(settings.auth) or ""
    access: Access
    if settings.auth == "api_key":
        access = Keys(name, missing=missing)
    else:
        # Signing takes a tenth of a second to import, which nobody pays who does not use it.
        from ocr_gateway.providers.google.service_account import service_account_access

        access = service_account_access(
            name,
            secret,
            http,
            exchanged=settings.tokens == "exchanged",
            missing=missing,
            timeout_s=settings.timeout_s,
        )
    dialect = GoogleDialect(name, settings, secret if settings.auth == "api_key" else None)
    return RemoteProvider(dialect, http=http, access=access, kept=settings.kept(), timeout_s=settings.timeout_s)
