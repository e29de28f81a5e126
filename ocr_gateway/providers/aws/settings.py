"""AWS's settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from ocr_gateway.model import Feature
from ocr_gateway.providers.remote.settings import Credentials, Key, OptionalKey, RemoteFeature, RemoteSettings
from rpc_runtime.settings import SettingsSection

_DEFAULT_REGION = "us-east-1"


class AwsCredentials(Credentials):
    """Keys of a user, or the three of a session, which end with it."""

    access_key_id: Key
    secret_access_key: Key
    session_token: OptionalKey = None


class AwsId(RemoteFeature):
    """Identity documents."""

    pages_per_call: Literal[1, 2] = Field(
        default=1, description="2: two images a call. Whether they stay two documents is the service's decision."
    )


class AwsFeatures(SettingsSection):
    """What an account reads."""

    text: RemoteFeature = Field(default_factory=RemoteFeature, description="Lines and words of text.")
    table: RemoteFeature = Field(default_factory=RemoteFeature, description="Tables.")
    id: AwsId = Field(default_factory=AwsId, description="US driving licences, state cards and passports.")


class AwsSettings(RemoteSettings):
    """AWS Textract, one account in one region."""

    # The account's quotas differ by region and are raised on demand; these are us-east-1's, not confirmed.
    rates: ClassVar[Mapping[Feature, int]] = {Feature.TEXT: 25, Feature.TABLE: 10, Feature.ID_DOCUMENT: 5}
    # Not AWS's usual names: those keys are on many machines for other services, and images must not go out for that.
    key_variables: ClassVar[Mapping[str, str]] = {
        "access_key_id": "AWS_TEXTRACT_ACCESS_KEY_ID",
        "secret_access_key": "AWS_TEXTRACT_SECRET_ACCESS_KEY",
    }

    kind: Literal["aws"] = Field(default="aws", description="Whose service it is.")
    region: str = Field(
        default=_DEFAULT_REGION, pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$", description="Where it runs; it is signed."
    )
    endpoint: str = Field(
        default=f"https://textract.{_DEFAULT_REGION}.amazonaws.com",
        description="Scheme and host; none: https://textract.REGION.amazonaws.com.",
    )
    credentials: AwsCredentials = Field(
        description="Of the provider named aws: AWS_TEXTRACT_ACCESS_KEY_ID, AWS_TEXTRACT_SECRET_ACCESS_KEY."
    )
    features: AwsFeatures = Field(description="What it reads.")

    @model_validator(mode="before")
    @classmethod
    def _endpoint_follows_region(cls, given: object) -> object:
        if not isinstance(given, Mapping) or "endpoint" in given or not isinstance(given.get("region"), str):
            return given
        return {**given, "endpoint": f"https://textract.{given['region']}.amazonaws.com"}
