"""The settings of money: budgets, and the currency of prices."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from ocr_gateway.model import Budget
from rpc_runtime.settings import SettingsSection

_MOST_A_DAY = 1e9


def _currency(value: str) -> str:
    if value and not re.fullmatch(r"[A-Z]{3}", value):
        raise ValueError("three capitals are expected, as in ISO 4217: CNY, EUR, USD")
    return value


Currency = Annotated[str, AfterValidator(_currency)]
"""An ISO 4217 code, or empty."""


class BudgetSettings(SettingsSection):
    """What may be spent in a day; 0: no limit."""

    units_per_day: float = Field(default=0.0, ge=0, le=_MOST_A_DAY, description="Units, as providers bill them.")
    cost_per_day: float = Field(default=0.0, ge=0, le=_MOST_A_DAY, description="Money, in the gateway's currency.")
    day_starts_utc_offset_h: float = Field(
        default=0.0, ge=-12, le=14, description="Hours by which the clock is ahead of UTC that the day goes by."
    )

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if not (self.units_per_day or self.cost_per_day):
            raise ValueError(
                "a budget has units_per_day or cost_per_day, above 0; leave it out where there is no limit"
            )
        return self

    @property
    def budget(self) -> Budget:
        """In the gateway's vocabulary."""
        return Budget(self.units_per_day, self.cost_per_day, round(self.day_starts_utc_offset_h * 3600))
