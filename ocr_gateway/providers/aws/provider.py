"""The provider, made of its settings."""

from __future__ import annotations

from ocr_gateway.providers.aws.dialect import AwsDialect
from ocr_gateway.providers.aws.settings import AwsSettings
from ocr_gateway.providers.remote.access import Keys
from ocr_gateway.providers.remote.provider import RemoteProvider


def build_aws(name: str, settings: AwsSettings) -> RemoteProvider:
    """The provider. Keys that are not there show in its status."""
    from ocr_gateway.providers.aws.signing import Signer  # botocore is large: not for those who do not use it

    keys = settings.credentials
    key_id, secret, token = (keys.read(each) for each in ("access_key_id", "secret_access_key", "session_token"))
    signer = Signer(key_id, secret, token, settings.region) if key_id and secret else None
    dialect = AwsDialect(name, settings, signer)
    return RemoteProvider(
        dialect,
        http=settings.http_client(),
        access=Keys(name, missing=keys.missing),
        kept=settings.kept(),
        timeout_s=settings.timeout_s,
    )
