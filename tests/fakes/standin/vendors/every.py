"""Every vendor, by name. A new one adds its line."""

from __future__ import annotations

from importlib import import_module

from tests.fakes.standin.vendor import Vendor

VENDORS = {
    "aws": "aws:Aws",
    "baidu": "baidu:Baidu",
    "azure": "azure:Azure",
    "azure_vision": "azure:AzureVision",
    "google": "google:Google",
    "kserve": "kserve:Kserve",
    "mistral": "mistral:Mistral",
    "openai": "openai_chat:OpenAiChat",
    "paddlex": "paddlex:Paddlex",
    "alibaba": "alibaba:Alibaba",
    "huawei": "huawei:Huawei",
    "tencent": "tencent:Tencent",
}
"""Module and class of each, loaded when it is asked for."""


def vendor_of(name: str) -> Vendor:
    """The vendor of a name. Raises KeyError."""
    module, _, class_name = VENDORS[name].partition(":")
    vendor: Vendor = getattr(import_module(f"tests.fakes.standin.vendors.{module}"), class_name)()
    return vendor
