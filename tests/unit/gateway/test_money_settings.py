"""The settings of money: what does not fit together is told with its key, and the summary says what holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from ocr_gateway.composition import build_providers
from ocr_gateway.config_check import load_settings, summary
from ocr_gateway.model import Budget, Feature
from ocr_gateway.money_check import budgets_of
from ocr_gateway.settings import GatewaySettings
from rpc_runtime.settings_source import SettingsInvalid

PRICED = "providers: {baidu: {features: {text: {price_per_unit: 0.003}}%s}}"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without settings of whoever runs the tests."""
    for name in GatewaySettings.model_fields:
        monkeypatch.delenv(f"GATEWAY_{name.upper()}", raising=False)
    for name in ("BAIDU_API_KEY", "BAIDU_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


def loaded(tmp_path: Path, text: str) -> GatewaySettings:
    file = tmp_path / "gateway.yaml"
    file.write_text(text)
    return load_settings(file)


@pytest.mark.parametrize(
    ("text", "key", "fault"),
    [
        (PRICED % "", "providers.baidu.features.text.price_per_unit", "currency"),
        ("currency: yuan", "currency", "three capitals"),
        (
            "currency: CNY\nproviders: {baidu: {budget: {cost_per_day: 5}}}",
            "providers.baidu.budget.cost_per_day",
            "there is no price",
        ),
        ("tenants: {shop: {budget: {cost_per_day: 5}}}", "tenants.shop.budget.cost_per_day", "there is no price"),
        ("default_tenant_budget: {cost_per_day: 5}", "default_tenant_budget.cost_per_day", "there is no price"),
        ("tenants: {shop: {budget: {}}}", "tenants.shop.budget", "units_per_day or cost_per_day"),
        ("tenants: {shop: {budget: {units_per_day: -1}}}", "tenants.shop.budget.units_per_day", "greater than"),
        ("tenants: {shop: {budget: {units_a_day: 1}}}", "tenants.shop.budget.units_a_day", "no such key"),
        (
            "currency: CNY\nproviders: {baidu: {features: {text: {price_per_unit: 1.0e+18}}}}",
            "providers.baidu.features.text.price_per_unit",
            "less than",
        ),
        (
            "tenants: {shop: {budget: {units_per_day: .nan}}}",
            "tenants.shop.budget.units_per_day",
            "finite number",
        ),
        (
            "currency: CNY\nproviders: {baidu: {features: {text: {price_per_unit: -1}}}}",
            "providers.baidu.features.text.price_per_unit",
            "greater than",
        ),
    ],
)
def test_what_does_not_fit_together_is_a_fault(tmp_path: Path, text: str, key: str, fault: str) -> None:
    """One line, of the key and of the line of the file."""
    with pytest.raises(SettingsInvalid) as failed:
        loaded(tmp_path, text)
    (line,) = failed.value.faults
    assert line.startswith(f"{key} (")
    assert fault in line


def test_a_provider_that_is_turned_off_has_neither_price_nor_budget(tmp_path: Path) -> None:
    """Its prices need no currency."""
    settings = loaded(tmp_path, PRICED % ", enabled: false, budget: {cost_per_day: 3}")
    assert budgets_of(settings) == {}


def test_budgets_have_accounts(tmp_path: Path) -> None:
    """One each of providers and tenants that have a budget, and one for all other tenants."""
    text = (
        "currency: CNY\n"
        + PRICED % ", budget: {units_per_day: 1000, cost_per_day: 2.5, day_starts_utc_offset_h: 8}"
        + "\ntenants: {shop: {weight: 2, budget: {cost_per_day: 1}}, free: {weight: 1}}"
        + "\ndefault_tenant_budget: {units_per_day: 10}"
    )
    settings = loaded(tmp_path, text)
    assert budgets_of(settings) == {
        "provider:baidu": Budget(1000, 2.5, 8 * 3600),
        "tenant:shop": Budget(0, 1),
        "tenant:*": Budget(10, 0),
    }
    lines = [" ".join(line.split()) for line in summary(settings)]
    assert "baidu text 50 a second, 100 at one time; 0.003 CNY a unit" in lines
    assert lines[lines.index("budgets") :] == [
        "budgets",
        "provider:baidu 1000 units and 2.5 CNY a day, by UTC+8 h",
        "tenant:shop 1 CNY a day",
        "tenant:* 10 units a day",
    ]


def test_without_budgets_the_summary_says_so(tmp_path: Path) -> None:
    """Nothing is limited unless somebody says it."""
    assert "nothing limits what is spent in a day" in summary(loaded(tmp_path, ""))[-1]


def test_providers_know_what_a_call_costs(tmp_path: Path) -> None:
    """Units and price of each feature; the embedded engines cost nothing."""
    settings = loaded(tmp_path, "currency: CNY\n" + PRICED % "")
    costs = {
        (provider.description.name, feature): (support.units_per_call, support.price_per_unit)
        for provider in build_providers(settings)
        for feature, support in provider.description.features.items()
    }
    assert costs["baidu", Feature.TEXT] == (1.0, 0.003)
    assert costs["baidu", Feature.TABLE] == (1.0, 0.0)
    assert {cost for (name, _), cost in costs.items() if name in ("rapidocr", "tesseract")} == {(0.0, 0.0)}


@pytest.mark.parametrize(("replicas", "warns"), [("", True), (", replicas: 2", False)])
def test_budgets_without_a_number_of_replicas_are_warned_of(tmp_path: Path, replicas: str, warns: bool) -> None:
    """A gateway that has not reached Redis yet knows of no other."""
    file = tmp_path / "gateway.yaml"
    file.write_text(
        f"redis: {{url: 'redis://host:6379'{replicas}}}\nproviders: {{baidu: {{budget: {{units_per_day: 5}}}}}}\n"
    )
    assert any("warning: until a gateway reaches Redis" in line for line in summary(load_settings(file))) == warns
