"""The gateway's settings: where they come from, and what is filled in."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from ocr_gateway.model import Feature, Quota
from ocr_gateway.provider_settings import RapidOcrSettings, TesseractSettings
from ocr_gateway.providers.baidu.settings import BaiduSettings
from ocr_gateway.setting_parts import SecretSource
from ocr_gateway.settings import GatewaySettings
from rpc_runtime.settings_source import SettingsInvalid


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings of whoever runs the tests."""
    for name in GatewaySettings.model_fields:
        monkeypatch.delenv(f"GATEWAY_{name.upper()}", raising=False)
    for name in ("BAIDU_API_KEY", "BAIDU_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


def load(tmp_path: Path, text: str) -> GatewaySettings:
    """The settings of a file with this text."""
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    return GatewaySettings(config_file=file)


def baidu(settings: GatewaySettings, name: str = "baidu") -> BaiduSettings:
    """A provider's settings that are Baidu's."""
    provider = settings.providers[name]
    assert isinstance(provider, BaiduSettings)
    return provider


def test_the_environment_goes_before_the_file_before_the_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Key by key, also inside of a section."""
    monkeypatch.setenv("GATEWAY_CACHE__TTL_S", "60")
    monkeypatch.setenv("GATEWAY_MAX_PIXELS", "1000")
    settings = load(tmp_path, "max_pixels: 2000\nmax_calls: 7\ncache: {ttl_s: 30, lease_s: 3}\n")
    assert (settings.max_pixels, settings.max_calls, settings.stream_max_items) == (1000, 7, 32)
    assert (settings.cache.ttl_s, settings.cache.lease_s, settings.cache.store_timeout_s) == (60, 3, 0.1)


def test_the_file_can_be_named_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GATEWAY_CONFIG_FILE does what --config does, and --config goes before it."""
    for name, calls in (("a", 3), ("b", 4)):
        (tmp_path / name).write_text(f"max_calls: {calls}\n")
    monkeypatch.setenv("GATEWAY_CONFIG_FILE", str(tmp_path / "a"))
    assert GatewaySettings().max_calls == 3
    assert GatewaySettings(config_file=tmp_path / "b").max_calls == 4


def test_without_settings_the_embedded_engines_and_baidu_are_there() -> None:
    """Baidu with the contract's quotas, and its keys where the vendor's tools look for them."""
    settings = GatewaySettings()
    assert list(settings.providers) == ["rapidocr", "tesseract", "baidu"]
    features = baidu(settings).features
    assert [each.quota.quota for each in (features.text, features.table, features.id)] == [
        Quota(requests_per_second=50, max_concurrency=100, period_offset_s=8 * 3600),
        Quota(requests_per_second=30, max_concurrency=60, period_offset_s=8 * 3600),
        Quota(requests_per_second=20, max_concurrency=40, period_offset_s=8 * 3600),
    ]
    assert features.text.endpoint == "general"
    assert baidu(settings).credentials.api_key == SecretSource(env="BAIDU_API_KEY")
    assert baidu(settings).credentials.secret_key == SecretSource(env="BAIDU_SECRET_KEY")
    assert baidu(settings).reads == set(Feature)


def test_a_provider_given_in_part_keeps_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By file and by environment, down to one limit of one quota, one of two keys, and a name with nothing under it."""
    monkeypatch.setenv("GATEWAY_PROVIDERS__BAIDU__FEATURES__TEXT__QUOTA__MAX_CONCURRENCY", "9")
    monkeypatch.setenv("GATEWAY_PROVIDERS__TESSERACT__WORKERS", "0")
    text = """
providers:
  rapidocr:
  baidu:
    credentials: {secret_key: {file: /run/secrets/key}}
    features:
      text: {endpoint: accurate, quota: {requests_per_day: 1000}}
"""
    settings = load(tmp_path, text)
    features = baidu(settings).features
    assert features.text.quota.quota == Quota(50, 1000, 0, 9, period_offset_s=8 * 3600)
    assert (features.text.endpoint, features.text.quota.day_starts_utc_offset_h) == ("accurate", 8)
    assert features.table.quota.requests_per_second == 30
    assert baidu(settings).credentials.api_key.env == "BAIDU_API_KEY"
    assert baidu(settings).credentials.secret_key.file == Path("/run/secrets/key")
    assert isinstance(settings.providers["rapidocr"], RapidOcrSettings)
    tesseract = settings.providers["tesseract"]
    assert isinstance(tesseract, TesseractSettings)
    assert (tesseract.workers, tesseract.binary) == (0, "tesseract")
    assert list(settings.providers_in_use) == ["rapidocr", "baidu"]


def test_a_vendor_can_have_several_accounts(tmp_path: Path) -> None:
    """Each under a name of its own, in the order of declaration, the ones that are there anyway last."""
    keys = "{api_key: {env: A}, secret_key: {env: B}}"
    settings = load(
        tmp_path, f"providers:\n  baidu-2: {{kind: baidu, credentials: {keys}}}\n  baidu: {{enabled: false}}\n"
    )
    assert list(settings.providers) == ["baidu-2", "baidu", "rapidocr", "tesseract"]
    assert list(settings.providers_in_use) == ["baidu-2", "rapidocr", "tesseract"]
    assert baidu(settings, "baidu-2").features.id.quota.requests_per_second == 20


def test_connections_suffice_for_all_calls(tmp_path: Path) -> None:
    """As many as the features' calls together and one for a token, unless they are said, or calls are not limited."""
    quota = "{requests_per_second: 500}"
    assert baidu(GatewaySettings()).connections == 100 + 60 + 40 + 1
    assert (
        baidu(load(tmp_path, f"providers: {{baidu: {{features: {{text: {{quota: {quota}}}}}}}}}")).connections == 1101
    )
    assert baidu(load(tmp_path, "providers: {baidu: {max_connections: 200}}")).connections == 200
    unlimited = "providers: {baidu: {features: {id: {quota: {max_concurrency: 0}}}MORE}}"
    assert baidu(load(tmp_path, unlimited.replace("MORE", ""))).connections == 0
    assert baidu(load(tmp_path, unlimited.replace("MORE", ", max_connections: 7"))).connections == 7


def test_secrets_come_from_the_environment_or_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file's last line break does not count; what is missing is said without a guess at it."""
    monkeypatch.setenv("BAIDU_API_KEY", "from-environment")
    (tmp_path / "key").write_text("from-file\n")
    text = f"providers: {{baidu: {{credentials: {{secret_key: {{file: {tmp_path / 'key'}}}}}}}}}"
    credentials = baidu(load(tmp_path, text)).credentials
    assert (credentials.api_key.read(), credentials.secret_key.read()) == (
        SecretStr("from-environment"),
        SecretStr("from-file"),
    )
    assert credentials.missing == ""
    (tmp_path / "key").unlink()
    monkeypatch.setenv("BAIDU_API_KEY", "")
    assert (credentials.api_key.read(), credentials.secret_key.read()) == (None, None)
    assert credentials.missing == (
        f"the environment variable BAIDU_API_KEY is not set; the file {tmp_path / 'key'} is empty or cannot be read"
    )


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("redis: {url: {env: WHERE}}", {"WHERE": "redis://:hidden@host:6379/0"}),
        ("redis: {url: redis://host}", {"GATEWAY_REDIS__URL": "redis://:hidden@host:6379/0"}),
        ("redis: {url: {file: FOLDER/url}}", {}),
    ],
)
def test_the_address_of_redis_may_hold_a_password_outside_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, variables: dict[str, str]
) -> None:
    """By the environment, by a variable that the file names, or by a file of its own; it is never shown."""
    (tmp_path / "url").write_text("redis://:hidden@host:6379/0\n")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = load(tmp_path, text.replace("FOLDER", str(tmp_path)))
    assert settings.redis.url is not None
    assert settings.redis.url.get_secret_value() == "redis://:hidden@host:6379/0"
    assert "hidden" not in f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"


@pytest.mark.parametrize("empty", ["redis: {url: ''}", "redis:", "", "# nothing\n", "cache:\nproviders:\nroutes:"])
def test_what_is_left_empty_is_as_if_it_were_left_out(tmp_path: Path, empty: str) -> None:
    """An empty file, an empty section and an empty address all mean the defaults."""
    assert load(tmp_path, empty).model_dump(exclude={"config_file"}) == GatewaySettings().model_dump(
        exclude={"config_file"}
    )


def test_settings_do_not_change(tmp_path: Path) -> None:
    """They are frozen, the sections too."""
    settings = load(tmp_path, "max_calls: 3")
    with pytest.raises(ValueError, match="frozen"):
        settings.max_calls = 4
    with pytest.raises(ValueError, match="frozen"):
        settings.cache.ttl_s = 4


def test_tenants_have_weights(tmp_path: Path) -> None:
    """Their own, or the one that all others have."""
    settings = load(tmp_path, "tenants: {shop: {weight: 3}, batch: {}}\ndefault_tenant_weight: 0.5\n")
    assert [settings.tenant_weight(name) for name in ("shop", "batch", "anybody", "")] == [3, 1, 0.5, 0.5]


def test_every_key_says_what_it_is_for() -> None:
    """Each setting, of each section, has a description."""
    schema = GatewaySettings.model_json_schema()
    sections = {"GatewaySettings": schema, **schema["$defs"]}
    without = [
        f"{name}.{key}"
        for name, section in sections.items()
        for key, described in section.get("properties", {}).items()
        if not described.get("description")
    ]
    assert len(sections) > 12
    assert without == []


def test_variables_that_are_no_setting_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with the prefix that would change nothing, except for what Kubernetes sets for a service of that name."""
    for name in (
        "GATEWAY_CACHE_DIR",
        "GATEWAY_CACHE__DIR",
        "GATEWAY_PORT",
        "GATEWAY_PORT_80_TCP",
        "GATEWAY_SERVICE_HOST",
    ):
        monkeypatch.setenv(name, "")
    assert GatewaySettings.unknown_variables() == ["GATEWAY_CACHE_DIR"]


def test_a_missing_file_is_a_fault(tmp_path: Path) -> None:
    """Named with the reason."""
    with pytest.raises(SettingsInvalid) as failed:
        GatewaySettings(config_file=tmp_path / "absent.yaml")
    assert failed.value.faults == (f"config_file: {tmp_path}/absent.yaml cannot be used: No such file or directory",)
