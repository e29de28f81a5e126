"""Every kind of provider over the network: its settings, and how it is built of them. A new one adds its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ocr_gateway.providers.alibaba.settings import AlibabaSettings, build_alibaba
from ocr_gateway.providers.aws.provider import build_aws
from ocr_gateway.providers.aws.settings import AwsSettings
from ocr_gateway.providers.azure.document_intelligence import AzureSettings, build_azure
from ocr_gateway.providers.azure.image_analysis import AzureVisionSettings, build_azure_vision
from ocr_gateway.providers.baidu.settings import BaiduSettings, build_baidu
from ocr_gateway.providers.base import Provider
from ocr_gateway.providers.google.provider import build_google
from ocr_gateway.providers.google.settings import GoogleSettings
from ocr_gateway.providers.huawei.settings import HuaweiSettings, build_huawei
from ocr_gateway.providers.kserve import KserveSettings, build_kserve
from ocr_gateway.providers.mistral import MistralSettings, build_mistral
from ocr_gateway.providers.openai_chat import OpenAiSettings, build_openai
from ocr_gateway.providers.paddlex import PaddlexSettings, build_paddlex
from ocr_gateway.providers.remote.settings import RemoteSettings
from ocr_gateway.providers.tencent.settings import TencentSettings, build_tencent


@dataclass(frozen=True, slots=True)
class RemoteKind:
    """One kind: ``build`` makes a provider of a name and settings of the class ``settings``."""

    settings: type[RemoteSettings]
    build: Callable[[str, Any], Provider]


REMOTE_KINDS: Mapping[str, RemoteKind] = {
    "aws": RemoteKind(AwsSettings, build_aws),
    "baidu": RemoteKind(BaiduSettings, build_baidu),
    "azure": RemoteKind(AzureSettings, build_azure),
    "azure_vision": RemoteKind(AzureVisionSettings, build_azure_vision),
    "google": RemoteKind(GoogleSettings, build_google),
    "kserve": RemoteKind(KserveSettings, build_kserve),
    "mistral": RemoteKind(MistralSettings, build_mistral),
    "openai": RemoteKind(OpenAiSettings, build_openai),
    "paddlex": RemoteKind(PaddlexSettings, build_paddlex),
    "alibaba": RemoteKind(AlibabaSettings, build_alibaba),
    "huawei": RemoteKind(HuaweiSettings, build_huawei),
    "tencent": RemoteKind(TencentSettings, build_tencent),
}
