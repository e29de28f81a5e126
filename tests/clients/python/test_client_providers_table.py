"""The table that ``ocrmux providers`` shows: states, quotas and routes."""

from __future__ import annotations

from rich.console import Console

from ocrmux.gateway.v1 import gateway_pb2
from ocrmux.ocr.v1 import recognition_pb2
from ocrmux_client.providers_table import providers_table

TEXT, TABLE = recognition_pb2.FEATURE_TEXT, recognition_pb2.FEATURE_TABLE
SERVING, RESTED = gateway_pb2.PROVIDER_STATE_SERVING, gateway_pb2.PROVIDER_STATE_RESTED


def shown(response: gateway_pb2.ListProvidersResponse) -> list[str]:
    """The lines of the table, 80 columns wide."""
    console = Console(width=80)
    with console.capture() as capture:
        console.print(providers_table(response))
    return [line.rstrip() for line in capture.get().splitlines()]


def feature(
    number: recognition_pb2.Feature.ValueType, state: gateway_pb2.ProviderState.ValueType, why: str = ""
) -> gateway_pb2.ProviderFeature:
    quota = gateway_pb2.Quota(
        requests_per_second=50, requests_per_day=1000, requests_per_month=20000, max_concurrency=4
    )
    return gateway_pb2.ProviderFeature(feature=number, quota=quota, state=state, state_detail=why)


def test_a_feature_that_is_not_served_says_why() -> None:
    """Its state and the words for it stand before its limits; one that is as the provider is says nothing."""
    provider = gateway_pb2.Provider(
        name="cloud",
        kind=gateway_pb2.PROVIDER_KIND_CLOUD,
        state=SERVING,
        features=[feature(TEXT, SERVING), feature(TABLE, RESTED, "it [fails]")],
    )
    limits = "quota 50/s, 1000/day, 20000/month, 4 at once; now 0 running, 0 waiting"
    lines = shown(gateway_pb2.ListProvidersResponse(providers=[provider]))
    assert lines[0] == "cloud  serving  cloud"
    assert " ".join(" ".join(lines[1:]).split()) == (
        f"text images of any size {limits} table rested: it [fails] images of any size {limits}"
    )


def test_limits_are_round_and_never_more_than_they_are() -> None:
    """Megabytes to two places, cut; a limit of one end only says which; features have the order of --feature."""
    limits = [
        gateway_pb2.ImageLimits(max_bytes=10_000_000, max_side_px=8192),
        gateway_pb2.ImageLimits(max_bytes=4 << 20, min_side_px=50),
        gateway_pb2.ImageLimits(min_side_px=15, max_side_px=4096),
    ]
    numbers = (recognition_pb2.FEATURE_ID_DOCUMENT, TABLE, TEXT)
    features = [
        gateway_pb2.ProviderFeature(feature=number, limits=each) for number, each in zip(numbers, limits, strict=True)
    ]
    lines = shown(gateway_pb2.ListProvidersResponse(providers=[gateway_pb2.Provider(name="cloud", features=features)]))
    assert [line for line in lines if "images" in line] == [
        "  text   images 15–4096 px",
        "  table  images ≤ 4 MiB, sides ≥ 50 px",
        "  id     images ≤ 9.53 MiB, sides ≤ 8192 px",
    ]


def test_a_provider_that_rests_for_everything_says_so_once() -> None:
    """What is the same for the provider and its features is not repeated."""
    provider = gateway_pb2.Provider(
        name="cloud", state=RESTED, state_detail="it fails", features=[feature(TEXT, RESTED, "it fails")]
    )
    lines = shown(gateway_pb2.ListProvidersResponse(providers=[provider]))
    assert lines[:3] == ["cloud  rested  unspecified", "  why   it fails", "  text  images of any size"]


def test_routes_show_weights_and_escalation() -> None:
    """Those that share the images stand side by side with their weights; a route without either is its names."""
    weighted = gateway_pb2.Route(
        name="main",
        feature=TEXT,
        providers=["a", "b", "c", "d"],
        weights={"b": 3, "c": 1},
        escalate_below=0.85,
    )
    plain = gateway_pb2.Route(name="tables", feature=TABLE, providers=["a", "b"])
    assert shown(gateway_pb2.ListProvidersResponse(routes=[weighted, plain])) == [
        "routes, first choice first",
        "  main, text     a → b (3) | c (1) → d; on to the next below 0.85",
        "  tables, table  a → b",
    ]


def test_each_feature_says_how_it_wants_its_pages() -> None:
    """Untouched, cleaned grey or bilevel stands with what it takes; nothing where it does not matter."""
    preferences = {
        gateway_pb2.PAGE_PREFERENCE_UNTOUCHED: "images of any size, untouched",
        gateway_pb2.PAGE_PREFERENCE_CLEANED_GREY: "images of any size, cleaned grey",
        gateway_pb2.PAGE_PREFERENCE_BILEVEL: "images of any size, bilevel",
        gateway_pb2.PAGE_PREFERENCE_UNSPECIFIED: "images of any size",
    }
    for preference, told in preferences.items():
        one = feature(TEXT, SERVING)
        one.page_preference = preference
        provider = gateway_pb2.Provider(name="engine", state=SERVING, features=[one])
        lines = shown(gateway_pb2.ListProvidersResponse(providers=[provider]))
        assert lines[1] == f"  text  {told}"


def test_prices_and_what_is_spent_of_a_budget_are_shown() -> None:
    """With the currency; a limit that there is not is left out, and so are prices of 0."""
    priced, free = feature(TEXT, SERVING), feature(TABLE, SERVING)
    priced.price_per_unit, priced.currency = 0.0035, "CNY"
    provider = gateway_pb2.Provider(
        name="cloud",
        state=SERVING,
        features=[priced, free],
        budget=gateway_pb2.Budget(units_used=400.5, cost_per_day=10, cost_used=1.40175),
    )
    lines = shown(gateway_pb2.ListProvidersResponse(providers=[provider]))
    assert lines[1] == "  budget  today 1.40175 of 10 CNY"
    assert [line.split("  ")[-1].strip() for line in lines if "price" in line] == ["price 0.0035 CNY a unit"]
    provider.budget.units_per_day = 1000
    lines = shown(gateway_pb2.ListProvidersResponse(providers=[provider]))
    assert lines[1] == "  budget  today 400.5 of 1000 units, 1.40175 of 10 CNY"
