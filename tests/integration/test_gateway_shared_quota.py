"""What health and metrics say of a gateway's shared quotas: whether permits come from Redis, not whether it answers."""

from __future__ import annotations

from typing import Any

import pytest

from tests.fakes.fleet import component_is, metric_at, until
from tests.fakes.redis_server import RedisServer, free_port
from tests.fakes.servers import running_gateway

pytestmark = pytest.mark.alone

TEXT_STATE, TABLE_STATE = "ocrmux:rate:{baidu:text}:state", "ocrmux:rate:{baidu:table}:state"
ONLY_BAIDU: dict[str, Any] = {
    "rapidocr": {"workers": 0},
    "tesseract": {"workers": 0},
    "baidu": {"endpoint": "http://127.0.0.1:9"},
}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that nothing is asked of the provider."""
    for name in ("BAIDU_API_KEY", "BAIDU_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)


async def test_a_quota_is_shared_when_all_lanes_share_it() -> None:
    """Where Redis refuses one lane's script it is not shared, although Redis is in use; and it is once it does not."""
    metrics = f"127.0.0.1:{free_port()}"
    async with RedisServer() as redis:
        await redis.command("SET", TEXT_STATE, "another's")
        settings: dict[str, Any] = {"redis": {"url": redis.url}, "providers": ONLY_BAIDU, "metrics_listen": metrics}
        async with running_gateway(**settings) as gateway:

            async def says(shared: bool) -> bool:
                told = await metric_at(metrics, "ocrmux_quota_shared") == shared
                return told and await component_is(gateway.server.address, "quota.shared", shared)

            async def table_is_shared() -> bool:
                return await redis.command("EXISTS", TABLE_STATE) == "1"

            await until(table_is_shared)
            assert await component_is(gateway.server.address, "cache.store", True)
            assert await says(shared=False)
            await redis.command("DEL", TEXT_STATE)
            await until(lambda: says(shared=True))
            await redis.kill()
            await until(lambda: says(shared=False))


async def test_a_gateway_without_shared_quotas_says_nothing_of_them() -> None:
    """There is no such component where Redis is for the cache alone."""
    async with RedisServer() as redis:
        providers = {**ONLY_BAIDU, "baidu": {"enabled": False}, "tesseract": {"workers": 1}}
        async with running_gateway(redis={"url": redis.url}, providers=providers) as gateway:
            address = gateway.server.address
            assert await component_is(address, "cache.store", True)
            assert not await component_is(address, "quota.shared", True)
            assert not await component_is(address, "quota.shared", False)
