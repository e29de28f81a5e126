"""Wrong settings: each fault names its key and its place, and never repeats a value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ocr_gateway.config_check import load_settings, routes_of, summary
from ocr_gateway.model import Feature
from ocr_gateway.provider_settings import KINDS
from ocr_gateway.routing import Route, RouteEntry
from ocr_gateway.settings import GatewaySettings
from rpc_runtime.settings_source import SettingsInvalid


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings of whoever runs the tests."""
    for name in GatewaySettings.model_fields:
        monkeypatch.delenv(f"GATEWAY_{name.upper()}", raising=False)
    for name in ("BAIDU_API_KEY", "BAIDU_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


def faults_of(tmp_path: Path, text: str) -> tuple[str, ...]:
    """What is wrong with a file of this text, its path written as FILE."""
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    with pytest.raises(SettingsInvalid) as failed:
        load_settings(file)
    return tuple(fault.replace(str(file), "FILE") for fault in failed.value.faults)


SECRET = "Tr0ubadour3"
KIND_NEEDED = f"keys with a kind ({', '.join(KINDS)}) are expected below it"
NO_SECRET = "a secret does not stand here: write {env: NAME} or {file: PATH}, which say where it is"
NO_PASSWORD = "a password does not stand here: write {env: NAME} or {file: PATH} for the whole URL"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("listn: x", "listn (FILE, line 1): no such key; did you mean listen?"),
        ("cache:\n  dirr: x", "cache.dirr (FILE, line 2): no such key; did you mean dir?"),
        (
            "providers:\n baidu:\n  features:\n   text:\n    quota:\n     requests_per_secnd: 5",
            ("providers.baidu.features.text.quota.requests_per_secnd (FILE, line 6): no such key; "
            "did you mean requests_per_second?"),
        ),
        (
            "providers: {baidu: {features: {id: {quota: {requests_per_second: 2.5}}}}}",
            "providers.baidu.features.id.quota.requests_per_second (FILE, line 1): give a whole number, or one below 1",
        ),
        ("retry: {max_backof_s: 3}", "retry.max_backof_s (FILE, line 1): no such key; did you mean max_backoff_s?"),
        ("retry: {zebra: 3}", ("retry.zebra (FILE, line 1): no such key; known are budget_per_s, budget_ratio, "
         "first_backoff_s, max_attempts, max_backoff_s")),
        ("retry: {first_backoff_s: 20, max_backoff_s: 10}",
         "retry.first_backoff_s (FILE, line 1): is longer than max_backoff_s"),
        ("retry: {max_backoff_s: 31}", "retry.max_backoff_s (FILE, line 1): it should be less than or equal to 30"),
        ("cache: {ttl_s: .inf}", "cache.ttl_s (FILE, line 1): it should be a finite number"),
        ("circuit: {wait_s: .inf}", "circuit.wait_s (FILE, line 1): it should be a finite number"),
        ("tenants: {shop: {weight: .nan}}", "tenants.shop.weight (FILE, line 1): it should be a finite number"),
        ("default_tenant_weight: .nan", "default_tenant_weight (FILE, line 1): it should be a finite number"),
        ("max_pixels: .inf", "max_pixels (FILE, line 1): it should be a finite number"),
        ("providers: {baidu: {features: {id: {quota: {requests_per_second: .inf}}}}}",
         "providers.baidu.features.id.quota.requests_per_second (FILE, line 1): it should be a finite number"),
        ("providers: {baidu: {features: {id: {quota: {requests_per_second: .nan}}}}}",
         "providers.baidu.features.id.quota.requests_per_second (FILE, line 1): it should be a finite number"),
        ("providers: {baidu: {features: {id: {quota: {max_concurrency: .inf}}}}}",
         "providers.baidu.features.id.quota.max_concurrency (FILE, line 1): it should be a finite number"),
        ("providers: {baidu: {features: {id: {quota: {day_starts_utc_offset_h: .nan}}}}}",
         "providers.baidu.features.id.quota.day_starts_utc_offset_h (FILE, line 1): it should be a finite number"),
        ("providers:\n baidu:\n  max_connections: 199",
         ("providers.baidu.max_connections (FILE, line 3): is less than 200, the max_concurrency of its features "
         "together: permits would go to waste")),
        ("circuit: {min_calls: 30}",
         "circuit.min_calls (FILE, line 1): is more than window, so that the provider is never rested"),
        ("circuit:\n  rest_s: 11", "circuit.rest_s (FILE, line 2): is longer than max_rest_s"),
        ("metrics_listen: 9464x", "metrics_listen (FILE, line 1): give HOST:PORT"),
        ("redis: {url: 'http://host'}", "redis.url (FILE, line 1): an address as redis://HOST:PORT is expected"),
        ("redis: {url: {env: NOT_SET_ANYWHERE}}",
         "redis.url (FILE, line 1): the environment variable NOT_SET_ANYWHERE is not set"),
        ("redis: {url: 'redis+sentinel://host'}",
         "redis.url (FILE, line 1): is no address of Redis; docs/operations.md has the forms"),
        ("cache: 5", "cache (FILE, line 1): keys of its own are expected below it"),
        ("providers: {other: {}}",
         f"providers.other (FILE, line 1): {KIND_NEEDED}"),
        ("providers: {tesseract: 5}",
         f"providers.tesseract (FILE, line 1): {KIND_NEEDED}"),
        ("providers: {baidu-2: {kind: baidu}}", "providers.baidu-2.credentials (FILE, line 1): is required"),
        ("providers: {baidu: {kind: rapidocr}}",
         "providers.baidu.kind (FILE, line 1): the name baidu is for the kind baidu"),
        ("providers: {fast: {kind: rapidocr}}",
         "providers.fast.kind (FILE, line 1): there is one rapidocr, under its own name; give it more workers"),
        ("providers: {baidu: {endpoint: 'https://aip.baidubce.com/rest'}}",
         ("providers.baidu.endpoint (FILE, line 1): give the scheme and the host alone: the path is the service's "
         "own")),
        ("providers: {baidu: {features: {table: {regions: mosaic}}}}",
         ("providers.baidu.features.table.regions (FILE, line 1): mosaic is not for this one, each region is read by "
         "itself")),
        ("providers: {mine: {kind: openai, endpoint: 'http://host/v1', model: m}}",
         "providers.mine.endpoint (FILE, line 1): leave out /v1, which is added"),
        (f"providers: {{baidu: {{credentials: {{{SECRET}: 1}}}}}}",
         "providers.baidu.credentials (FILE, line 1): only api_key, secret_key can stand here"),
        ("providers: {baidu: {endpoint: aip.baidubce.com}}",
         "providers.baidu.endpoint (FILE, line 1): give the scheme and the host, as https://ocr.example.com"),
        *[(f"providers: {{baidu: {{endpoint: '{endpoint}'}}}}",
           "providers.baidu.endpoint (FILE, line 1): give the scheme and the host, as https://ocr.example.com")
          for endpoint in ("https://:s3cret@host", "https://s3cret@host", "https://host#s3cret", "https://host?s3cret",
                           "https://host:s3cret", "https://[::s3cret", "https://host s3cret", "ftp://s3cret")],
        *[(f"providers: {{baidu: {{proxy: '{proxy}'}}}}",
           ("providers.baidu.proxy (FILE, line 1): give the scheme, the host and the port, as "
            "http://proxy.example.com:3128"))
          for proxy in ("s3cret", "socks5://s3cret:1080", "http://s3cret:port")],
        ("routes: {Main: {providers: [baidu]}}",
         ("routes.Main (FILE, line 1): a name has small letters, digits, and single - or _ between them, "
         "63 characters at most")),
        ("routes: {main: {feature: txt, providers: [baidu]}}",
         "routes.main.feature (FILE, line 1): it should be 'text', 'table' or 'id'"),
        ("routes:\n  main:\n    providers:\n      - baidu\n      - tesseractt",
         "routes.main.providers.1 (FILE, line 5): no provider in use is named tesseractt; did you mean tesseract?"),
        ("providers: {tesseract: {enabled: false}}\nroutes: {main: {providers: [tesseract]}}",
         "routes.main.providers.0 (FILE, line 2): no provider in use is named tesseract; known are baidu, rapidocr"),
        ("routes: {main: {feature: table, providers: [tesseract]}}",
         "routes.main.providers.0 (FILE, line 1): tesseract does not read the route's feature table"),
        ("routes: {main: {providers: [rapidocr, rapidocr]}}",
         "routes.main.providers.1 (FILE, line 1): rapidocr stands in this route already"),
        ("routes: {main: {providers: [{provider: baidu, weight: 2}, rapidocr]}}",
         "routes.main.providers.0.weight (FILE, line 1): weights are for providers that stand side by side"),
        ("routes: {main: {providers: [baidu], escalate_below: 0.5}}",
         "routes.main.escalate_below (FILE, line 1): there is no second provider to ask"),
        ("routes: {main: {providers: []}}",
         "routes.main.providers (FILE, line 1): at least 1 is expected"),
        ("config_file: x", "config_file (FILE, line 1): a file of settings does not name another one"),
        ("cache:\n  dir: a\n  ttl_s: 1\n  dir: b", "cache.dir (line 4): stands here a second time, after line 2"),
        ("- a", "config_file: FILE cannot be used: it holds no settings: lines of `key: value` are expected"),
        ("cache: {dir: a\nlisten: b", ("config_file: FILE cannot be used: line 2, column 7: expected ',' or '}', "
         "but got ':'")),
        ("a: \tb", ("config_file: FILE cannot be used: line 1, column 4: found character '\\t' that cannot start "
         "any token")),
        (f"a: !{SECRET} b",
         "config_file: FILE cannot be used: line 1, column 4: an alias, tag or value that has no meaning here"),
        (f"redis: {{url: 'redis://:{SECRET}@host'}}", f"redis.url (FILE, line 1): {NO_PASSWORD}"),
        (f"redis: {{url: 'redis://host?password={SECRET}'}}", f"redis.url (FILE, line 1): {NO_PASSWORD}"),
        (f"providers:\n baidu:\n  proxy: http://me:{SECRET}@host:1",
         f"providers.baidu.proxy (FILE, line 3): {NO_PASSWORD}"),
        (f"providers: {{baidu: {{credentials: {{api_key: {SECRET}}}}}}}",
         f"providers.baidu.credentials.api_key (FILE, line 1): {NO_SECRET}"),
        (f"providers: {{baidu: {{credentials: {{api_key: {{{SECRET}: }}}}}}}}",
         f"providers.baidu.credentials.api_key (FILE, line 1): {NO_SECRET}"),
        (f"providers: {{baidu: {{credentials: {{api_key: {{env: {SECRET}}}}}}}}}",
         ("providers.baidu.credentials.api_key.env (FILE, line 1): the name of an environment variable, in capitals, "
         "is expected")),
        ("providers: {baidu: {credentials: {api_key: {env: A, file: b}}}}",
         "providers.baidu.credentials.api_key (FILE, line 1): write either {env: NAME} or {file: PATH}"),
        (f"providers: {{baidu: {{timeout_s: {SECRET}}}}}",
         "providers.baidu.timeout_s (FILE, line 1): it should be a valid number, unable to parse string as a number"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line_that_names_the_key(tmp_path: Path, text: str, fault: str) -> None:
    """With the line in the file, what is wrong, and a suggestion where one is near; no secret is repeated."""
    assert faults_of(tmp_path, text) == (fault,)
    assert SECRET not in fault


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    """One line each, over all sections."""
    text = "listn: x\ncache: {ttl_s: -1, foo: 1}\nproviders: {x: {}, rapidocr: {workers: -1}}\nroutes: {a: {}}\n"
    assert sorted(fault.split(" ")[0] for fault in faults_of(tmp_path, text)) == [
        "cache.foo",
        "cache.ttl_s",
        "listn",
        "providers.rapidocr.workers",
        "providers.x",
        "routes.a.providers",
    ]


@pytest.mark.parametrize(
    ("variable", "value", "fault"),
    [
        ("GATEWAY_MAX_PIXELS", SECRET,
         "max_pixels (from GATEWAY_MAX_PIXELS): it should be a valid integer, unable to parse string as an integer"),
        ("GATEWAY_CIRCUIT__WAIT_S", "inf",
         "circuit.wait_s (from GATEWAY_CIRCUIT__WAIT_S): it should be a finite number"),
        ("GATEWAY_ITEM_TIMEOUT_S", "nan",
         "item_timeout_s (from GATEWAY_ITEM_TIMEOUT_S): it should be a finite number"),
        ("GATEWAY_CACHE__DRI", "x", "cache.dri (from GATEWAY_CACHE__DRI): no such key; did you mean dir?"),
        ("GATEWAY_ROUTES__MAIN__PROVIDERS", SECRET,
         "routes (from GATEWAY_ROUTES__MAIN__PROVIDERS): a list or a section is given as JSON in the environment"),
        ("GATEWAY_ROUTES__MAIN__PROVIDERS", '["nobody"]',
         ("routes.main.providers.0 (from GATEWAY_ROUTES__MAIN__PROVIDERS): no provider in use is named nobody; "
         "known are baidu, rapidocr, tesseract")),
        ("GATEWAY_REDIS__URL", f"http://:{SECRET}@host",
         "redis.url (from GATEWAY_REDIS__URL): an address as redis://HOST:PORT is expected"),
        ("GATEWAY_REDIS__URL", f"redis://:{SECRET}/x@host",
         "redis.url (from GATEWAY_REDIS__URL): is no address of Redis; docs/operations.md has the forms"),
    ],
)  # fmt: skip
def test_a_fault_names_the_variable_that_it_came_from(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, fault: str
) -> None:
    """And not what it is set to."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsInvalid) as failed:
        load_settings()
    assert failed.value.faults == (fault,)
    assert SECRET not in f"{failed.value} {failed.value!r} {failed.value.__cause__!r}"


def test_an_alias_of_itself_ends(tmp_path: Path) -> None:
    """A file that holds itself is wrong, and found to be so."""
    assert faults_of(tmp_path, "cache: &a\n  dir: *a\n")[0].startswith("cache.dir (FILE, line 2): ")


BOTH = frozenset({Feature.TEXT, Feature.TABLE})


def test_features_without_a_route_get_one() -> None:
    """Text first by the embedded engines that are there; then, as every feature, by declaration."""
    providers = {"cloud": BOTH, "tesseract": {Feature.TEXT}, "other": {Feature.TEXT}}
    entries = (RouteEntry("tesseract"), RouteEntry("cloud"), RouteEntry("other"))
    assert routes_of(GatewaySettings(), providers) == [
        Route("default", Feature.TEXT, entries),
        Route("default-table", Feature.TABLE, (RouteEntry("cloud"),)),
    ]


def test_a_declared_route_is_the_one_of_its_feature() -> None:
    """With weights and escalation; a name that is taken is not used for another route."""
    declared: Any = {
        "default": {
            "feature": "table",
            "providers": [{"provider": "a", "weight": 3}, {"provider": "b", "weight": 1}, "c"],
            "escalate_below": 0.8,
        }
    }
    routes = routes_of(GatewaySettings(routes=declared), dict.fromkeys("abc", BOTH))
    assert routes == [
        Route("default", Feature.TABLE, (RouteEntry("a", 3), RouteEntry("b", 1), RouteEntry("c")), 0.8),
        Route("built-in-text", Feature.TEXT, tuple(map(RouteEntry, "abc"))),
    ]


def test_the_summary_says_what_is_missing_and_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Providers with their quotas, routes, cache, Redis and tenants, each on its line."""
    monkeypatch.setenv("GATEWAY_REDIS__URL", f"redis://me:{SECRET}@host:6379/2")
    monkeypatch.setenv("BAIDU_API_KEY", SECRET)
    file = tmp_path / "gateway.yaml"
    file.write_text(
        "providers: {rapidocr: {workers: 3}, tesseract: {workers: 0}, "
        "baidu: {features: {table: {quota: {max_concurrency: 6}}}}}\n"
        "routes: {main: {providers: [{provider: rapidocr, weight: 3}, {provider: baidu, weight: 1}], "
        "escalate_below: 0.9}}\n"
        "tenants: {shop: {weight: 2}}\n"
    )
    lines = summary(load_settings(file))
    assert SECRET not in "\n".join(lines)
    for line in (
        "  rapidocr     rapidocr; 3 workers",
        "  tesseract    tesseract; turned off",
        (
            "  baidu        baidu; not configured: the environment variable BAIDU_SECRET_KEY is not set; "
            "https://aip.baidubce.com"
        ),
        "  baidu text   50 a second, 100 at one time",
        "  baidu table  30 a second, 6 at one time; warning: with calls of more than 0.2 s it is not used to the full",
        "  main           text: rapidocr (3), baidu (1); escalates below 0.9",
        "  default-table  table: rapidocr, baidu",
        "  store   Redis",
        "  url       redis://host:6379/2, with a password",
        "  shop       weight 2",
    ):
        assert line in lines
