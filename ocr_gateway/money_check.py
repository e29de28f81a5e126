"""What the settings say of money, over all sections: accounts with their budgets, and what does not fit together."""

from __future__ import annotations

from collections.abc import Iterator

from ocr_gateway.model import Budget, Feature
from ocr_gateway.money_settings import BudgetSettings
from ocr_gateway.providers.remote.settings import RemoteSettings
from ocr_gateway.settings import GatewaySettings
from ocr_gateway.spending import OTHERS, provider_account, tenant_account
from rpc_runtime.settings_source import Location

_NO_PRICE = "there is no price to reckon with: set price_per_unit of the features"


def budgets_of(settings: GatewaySettings) -> dict[str, Budget]:
    """The accounts that have a budget: those of providers in use, and of tenants."""
    providers = {provider_account(name): each.budget for name, each in settings.providers_in_use.items()}
    tenants = {tenant_account(name): each.budget for name, each in settings.tenants.items()}
    accounts = {**providers, **tenants, tenant_account(OTHERS): settings.default_tenant_budget}
    return {name: budget.budget for name, budget in accounts.items() if budget is not None}


def money_faults(settings: GatewaySettings) -> Iterator[tuple[Location, str]]:
    """Prices without a currency, and budgets in money without a price."""
    prices = {name: list(_prices(name, settings)) for name in settings.providers_in_use}
    if not settings.currency:
        for location in (each for found in prices.values() for each in found):
            yield location, "is the price in which currency? set currency"
    for name, provider in settings.providers_in_use.items():
        if _is_in_money(provider.budget) and not prices[name]:
            yield ("providers", name, "budget", "cost_per_day"), _NO_PRICE
    if any(prices.values()):
        return
    for name, tenant in settings.tenants.items():
        if _is_in_money(tenant.budget):
            yield ("tenants", name, "budget", "cost_per_day"), _NO_PRICE
    if _is_in_money(settings.default_tenant_budget):
        yield ("default_tenant_budget", "cost_per_day"), _NO_PRICE


def price_words(provider: RemoteSettings, feature: Feature, currency: str) -> str:
    """A feature's price for people; empty where there is none."""
    found = provider.feature(feature)
    return f"{found.price_per_unit:g} {currency} a unit" if found is not None and found.price_per_unit else ""


def budget_words(budget: Budget, currency: str) -> str:
    """A budget for people."""
    limits = ((budget.units_per_day, "units"), (budget.cost_per_day, currency))
    words = " and ".join(f"{limit:g} {unit}" for limit, unit in limits if limit)
    offset_h = budget.period_offset_s / 3600
    return f"{words} a day{f', by UTC{offset_h:+g} h' if offset_h else ''}"


def _prices(name: str, settings: GatewaySettings) -> Iterator[Location]:
    """Where the provider's prices stand."""
    provider = settings.providers[name]
    if isinstance(provider, RemoteSettings):
        for feature in Feature:
            found = provider.feature(feature)
            if found is not None and found.price_per_unit:
                yield ("providers", name, "features", feature.value, "price_per_unit")


def _is_in_money(budget: BudgetSettings | None) -> bool:
    return budget is not None and budget.cost_per_day > 0
