"""The money of calls: an amount is set aside before each, on the provider's budget and on the tenant's, and settled
after it."""

from __future__ import annotations

from collections.abc import Collection

from ocr_gateway.budgets.ledger import MILLION, NOTHING, AccountSpent, AccountUse, Amount, Ledger, Reservation
from ocr_gateway.errors import ProviderBudgetSpent, ProviderUnavailable, TenantBudgetSpent
from ocr_gateway.lanes.lane_errors import TooLate
from ocr_gateway.metrics import SpendingMetrics
from ocr_gateway.model import COST_DIGITS, Feature, FeatureSupport, ProviderResult, Trail
from rpc_runtime.expected_error import ExpectedError

OTHERS = "*"
"""All tenants that are not declared, together: a caller names itself, and another name is no other budget."""


def provider_account(provider: str) -> str:
    """The name of a provider's account."""
    return f"provider:{provider}"


def tenant_account(tenant: str) -> str:
    """The name of a tenant's account; that of ``OTHERS`` for those that are not declared."""
    return f"tenant:{tenant}"


class Spending:
    """What calls cost, in ``currency``, and the budgets that bear it. ``tenants`` are the declared ones.

    Without budgets nothing is ever reserved.
    """

    def __init__(
        self, ledger: Ledger, metrics: SpendingMetrics, *, currency: str = "", tenants: Collection[str] = ()
    ) -> None:
        self.ledger = ledger
        self.currency = currency
        self._metrics = metrics
        self._tenants = frozenset(tenants)

    def of_call(
        self, provider: str, feature: Feature, support: FeatureSupport, tenant: str, trail: Trail
    ) -> CallSpending:
        """The money of one call and its attempts; ``tenant`` pays. ``trail`` gets what it costs."""
        return CallSpending(self, provider, feature, support, tenant, trail)

    def use_of_provider(self, provider: str) -> AccountUse | None:
        """What is spent of the provider's budget today; None: it has none."""
        name = provider_account(provider)
        return self.ledger.use_of(name) if name in self.ledger.accounts else None

    def refusal_by_provider(self, provider: str, support: FeatureSupport) -> str:
        """Why the provider's budget bears no further call today, as this replica knows, for people; empty: it does."""
        use = self.use_of_provider(provider)
        if use is None:
            return ""
        expected, budget = Amount.of(support.units_per_call, support.price_per_unit), use.budget
        for left, wanted, limit, what in (
            (use.units_left, expected.units, budget.units_per_day, "units"),
            (use.cost_left, expected.cost, budget.cost_per_day, self.currency),
        ):
            if left is not None and round(left * MILLION) < wanted:
                return f"its budget of {limit:g} {what} a day is spent"
        return ""

    def accounts_of(self, provider: str, tenant: str) -> tuple[str, ...]:
        """The accounts, of those that there are, that bear a call."""
        names = (provider_account(provider), tenant_account(self.payer(tenant)))
        return tuple(name for name in names if name in self.ledger.accounts)

    def payer(self, tenant: str) -> str:
        """The tenant, or ``OTHERS``."""
        return tenant if tenant in self._tenants else OTHERS

    def count(self, provider: str, feature: Feature, tenant: str, units: float, cost: float) -> None:
        """Has the metrics count what was billed."""
        self._metrics.spent(provider, feature, self.payer(tenant), units, cost)

    def refused(self, account: str) -> None:
        """Has the metrics count a refusal."""
        self._metrics.refused(account)


class CallSpending:
    """Each attempt has a reservation of its own, which becomes that of the next one where it was not spent."""

    def __init__(
        self, spending: Spending, provider: str, feature: Feature, support: FeatureSupport, tenant: str, trail: Trail
    ) -> None:
        self._spending = spending
        self._provider = provider
        self._feature = feature
        self._tenant = tenant
        self._trail = trail
        self._price = support.price_per_unit
        self._accounts = spending.accounts_of(provider, tenant)
        self._expected = Amount.of(support.units_per_call, self._price) if self._accounts else NOTHING
        self._reservation: Reservation | None = None
        self._sent = self._closed = self._aboard = False

    async def secure(self) -> None:
        """Sets aside what an attempt is expected to cost, of today. Raises ProviderBudgetSpent or TenantBudgetSpent."""
        ledger, self._sent = self._spending.ledger, False
        if not self._expected:
            return
        if self._reservation is not None:
            if ledger.is_current(self._reservation):
                return
            self._give_back()
        try:
            self._reservation = await ledger.reserve(self._accounts, self._expected)
        except AccountSpent as spent:
            self._spending.refused(spent.account)
            raise self._error(spent) from None

    def sending(self) -> None:
        """The image is being sent: from now on it may be billed. Also when the item has left, as one of several."""
        if self._closed and not self._sent and self._reservation is None:
            self._spending.ledger.charge(self._accounts, self._expected)
        self._sent = True

    def billed(self, result: ProviderResult) -> None:
        """The attempt has a result, and so a price."""
        cost = result.billed_units * self._price
        if cost:
            self._trail.cost = round(self._trail.cost + cost, COST_DIGITS)
            self._trail.currency = self._spending.currency
        self._spending.count(self._provider, self._feature, self._tenant, result.billed_units, cost)
        if not self._accounts:
            return
        actual, ledger = Amount.of(max(0.0, result.billed_units), self._price), self._spending.ledger
        if self._reservation is None:
            ledger.charge(self._accounts, actual)
        else:
            ledger.settle(self._reservation, actual)
            self._reservation = None

    def failed(self, error: BaseException) -> None:
        """The attempt has no result. Where it may be billed all the same, its reservation is spent; else it is that of
        the next attempt."""
        match error:
            case TooLate():
                may_be_billed = False
            case ProviderUnavailable():
                may_be_billed = error.may_be_billed
            case ExpectedError():
                may_be_billed = False
            case _:  # a bug, or a caller that has left
                may_be_billed = self._sent
        if may_be_billed:
            self._reservation = None

    def close(self) -> None:
        """There is no further attempt: what is set aside and was not spent is given back."""
        self._closed = True
        if not self._aboard:
            self._give_back()

    def left_aboard(self) -> None:
        """The item leaves a call of several images, in which its own may still be sent: what is set aside stays so."""
        self._aboard = True

    def landed(self) -> None:
        """That call has ended: what was set aside is spent, or given back where the image was not sent."""
        self._aboard = False
        if self._sent:
            self._reservation = None
        if self._closed:
            self._give_back()

    def _give_back(self) -> None:
        if self._reservation is not None:
            self._spending.ledger.settle(self._reservation, NOTHING)
            self._reservation = None

    def _error(self, spent: AccountSpent) -> ExpectedError:
        again_s = max(1.0, spent.again_in_s)
        if spent.account == provider_account(self._provider):
            return ProviderBudgetSpent(self._provider, str(spent), retry_after_s=again_s)
        return TenantBudgetSpent(self._tenant, spent.account, str(spent), retry_after_s=again_s)
