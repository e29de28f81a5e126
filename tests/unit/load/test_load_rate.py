"""Rates as a person types them."""

from __future__ import annotations

import pytest

from ocrmux_client.errors import UsageProblem
from ocrmux_client.load.rate import Rate, parsed_rate


def test_a_rate_is_a_number_a_share_or_the_maximum() -> None:
    """50 is items a second, 80% a share of the maximum, max a closed loop."""
    assert parsed_rate("50") == Rate(per_s=50.0)
    assert parsed_rate(" 0.5 ") == Rate(per_s=0.5)
    assert parsed_rate("80%") == Rate(of_maximum=0.8)
    assert parsed_rate("120 %").at_maximum(50.0) == pytest.approx(60.0)
    assert parsed_rate("50").at_maximum(10.0) == 50.0
    assert parsed_rate("MAX").is_closed_loop


@pytest.mark.parametrize("text", ["", "0", "-3", "fast", "50/s", "%", "1e9", "nan", "0%"])
def test_anything_else_is_told(text: str) -> None:
    """One line that says what is wanted."""
    with pytest.raises(UsageProblem, match="--rate wants"):
        parsed_rate(text)
