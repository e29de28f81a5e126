"""Money for tests that are about something else, or about little of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ocr_gateway.budgets.local_ledger import LocalLedger
from ocr_gateway.metrics import GatewayMetrics
from ocr_gateway.model import Budget
from ocr_gateway.spending import Spending
from tests.fakes.virtual_time import now


def spending(
    budgets: Mapping[str, Budget] | None = None, *, currency: str = "CNY", clock: Callable[[], float] = now
) -> Spending:
    """Budgets by account, in this process; without any, nothing is limited."""
    ledger = LocalLedger(budgets or {}, clock=clock, wall_clock=clock)
    tenants = [name.removeprefix("tenant:") for name in ledger.accounts if name != "tenant:*"]
    return Spending(ledger, GatewayMetrics().spending, currency=currency, tenants=tenants)
