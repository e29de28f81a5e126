"""What ListProviders says of a provider whose lanes let no call go."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from ocr_gateway.model import Feature, ProviderState
from ocr_gateway.provider_messages import provider_message
from ocrmux.gateway.v1 import gateway_pb2
from tests.fakes.providers import ScriptedProvider
from tests.fakes.spendings import spending

SERVING = (ProviderState.SERVING, "")


@dataclass(frozen=True)
class StillLane:
    """A lane in a state."""

    state: tuple[ProviderState, str]
    in_progress: int = 0
    waiting: int = 0


def rested(detail: str = "it rests") -> tuple[ProviderState, str]:
    return ProviderState.RESTED, detail


def spent(detail: str = "10 calls a day are made") -> tuple[ProviderState, str]:
    return ProviderState.QUOTA_SPENT, detail


@pytest.mark.parametrize(
    ("lanes", "said"),
    [
        ({Feature.TEXT: SERVING, Feature.TABLE: SERVING}, SERVING),
        ({Feature.TEXT: rested(), Feature.TABLE: SERVING}, SERVING),
        ({Feature.TEXT: rested(), Feature.TABLE: rested()}, rested()),
        ({Feature.TEXT: spent(), Feature.TABLE: spent()}, spent()),
        (
            {Feature.TEXT: spent(), Feature.TABLE: rested()},
            rested("table: it rests; text: 10 calls a day are made"),
        ),
        ({Feature.TEXT: spent()}, spent()),
    ],
)
def test_a_provider_is_as_all_its_lanes_are(
    lanes: Mapping[Feature, tuple[ProviderState, str]], said: tuple[ProviderState, str]
) -> None:
    """As long as one of them takes calls it serves; else it is in the state that passes first, and says why."""
    provider = ScriptedProvider(name="stub", features=tuple(lanes))
    message = provider_message(provider, {feature: StillLane(state) for feature, state in lanes.items()}, spending())
    names = gateway_pb2.ProviderState.Name
    assert names(message.state) == f"PROVIDER_STATE_{said[0].name}"
    assert message.state_detail == said[1]
    by_name = sorted(lanes.items(), key=lambda pair: pair[0].value)
    assert [names(feature.state) for feature in message.features] == [
        f"PROVIDER_STATE_{state.name}" for _, (state, _) in by_name
    ]
    assert [feature.state_detail for feature in message.features] == [detail for _, (_, detail) in by_name]


def test_a_provider_that_is_not_configured_is_so_whatever_its_lanes_say() -> None:
    """Its own state goes first."""
    provider = ScriptedProvider(name="stub", state=ProviderState.NOT_CONFIGURED)
    message = provider_message(provider, {Feature.TEXT: StillLane(rested())}, spending())
    assert message.state == gateway_pb2.PROVIDER_STATE_NOT_CONFIGURED
