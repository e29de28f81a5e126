"""The link to a real Redis that stalls, dies, forgets, is full, is a cluster or changes its master."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from ocr_gateway.redis_link import RedisLink, RedisRefused, RedisUnavailable, Script
from tests.fakes.redis_server import RedisServer, eventually, redis_cluster

pytestmark = pytest.mark.alone

TIMEOUT_S = 0.1
REST_S = 0.3
SLACK_S = 0.3
"""What a busy test machine may add."""
ECHO = Script("return ARGV[1]")
COUNT = Script("return redis.call('INCR', KEYS[1])")


@asynccontextmanager
async def open_link(
    url: str,
    *,
    timeout_s: float = 1.0,
    max_connections: int = 64,
    tell: Callable[[bool, str], None] | None = None,
) -> AsyncIterator[RedisLink]:
    link = RedisLink(url, timeout_s=timeout_s, rest_s=REST_S, max_connections=max_connections)
    if tell is not None:
        link.watch(tell)
    await link.open()
    try:
        yield link
    finally:
        await link.close()


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    async with RedisServer() as running:
        yield running


async def outcome(link: RedisLink, text: str) -> tuple[str, float]:
    """What became of one command, and how long it took, seconds."""
    began = time.monotonic()
    try:
        reply = await link.run(ECHO, ["k"], [text])
    except RedisUnavailable:
        return "unavailable", time.monotonic() - began
    assert reply == text.encode()
    return "answered", time.monotonic() - began


async def test_scripts_and_reads(server: RedisServer) -> None:
    """A script runs also where Redis has never seen it or has forgotten it; a key that is not there reads as None."""
    async with open_link(server.url) as link:
        assert [await link.run(COUNT, ["n"]) for _ in range(2)] == [1, 2]
        await server.command("SCRIPT", "FLUSH")
        assert await link.run(COUNT, ["n"]) == 3
        assert await link.get("n") == b"3"
        assert await link.get("other") is None
        assert link.in_use


async def test_a_stalled_redis_costs_each_caller_at_most_the_time_out(server: RedisServer) -> None:
    """Of 300 callers at once none waits longer; later ones do not wait; after the stall it is in use by itself."""
    async with open_link(server.url, timeout_s=TIMEOUT_S, max_connections=8) as link:
        told: list[bool] = []
        link.watch(lambda in_use, _: told.append(in_use))
        assert (await outcome(link, "before"))[0] == "answered"
        server.stop_signal()
        met = await asyncio.gather(*(outcome(link, str(i)) for i in range(300)))
        assert {what for what, _ in met} == {"unavailable"}
        assert max(seconds for _, seconds in met) < TIMEOUT_S + SLACK_S
        later = await asyncio.gather(*(outcome(link, str(i)) for i in range(300)))
        assert {what for what, _ in later} == {"unavailable"}
        assert max(seconds for _, seconds in later) < TIMEOUT_S
        assert not link.in_use
        server.continue_signal()
        await eventually(lambda: link.in_use, 2 * REST_S + TIMEOUT_S + 1)
        assert told == [False, True]
        clients = await server.command("CLIENT", "LIST")
        assert clients.count("cmd=") <= 8 + 2
        for i in range(100):
            assert (await outcome(link, f"after {i}"))[0] == "answered"


async def test_no_reply_goes_to_the_wrong_caller(server: RedisServer) -> None:
    """Callers that leave in the middle of a command take the connection with them, not the next caller's answer."""
    async with open_link(server.url, max_connections=4) as link:
        for round_number in range(50):
            leaving = [asyncio.create_task(link.run(ECHO, ["k"], [f"left {i}"])) for i in range(4)]
            await asyncio.sleep(0.0001 * (round_number % 10))
            for task in leaving:
                task.cancel()
            await asyncio.wait(leaving)
            assert (await outcome(link, f"stayed {round_number}"))[0] == "answered"
        assert link.in_use


async def test_more_callers_than_connections(server: RedisServer) -> None:
    """They wait for a connection in turn; Redis sees no more connections than are allowed."""
    async with open_link(server.url, max_connections=4) as link:
        met = await asyncio.gather(*(outcome(link, str(i)) for i in range(100)))
        assert {what for what, _ in met} == {"answered"}
        assert (await server.command("CLIENT", "LIST")).count("cmd=") <= 4 + 1


async def test_killed_and_restarted_empty(server: RedisServer) -> None:
    """A Redis that dies is out of use at once and in use again, its scripts with it, soon after it is back."""
    async with open_link(server.url) as link:
        assert await link.run(COUNT, ["n"]) == 1
        await server.kill()
        met = await outcome(link, "x")
        assert met[0] == "unavailable"
        assert met[1] < TIMEOUT_S + SLACK_S
        await server.start()
        await eventually(lambda: link.in_use, 2 * REST_S + 1)
        assert await link.run(COUNT, ["n"]) == 1


async def test_an_outage_that_nobody_meets_is_noticed(server: RedisServer) -> None:
    """Without any traffic the link is out of use some rests after Redis died."""
    async with open_link(server.url) as link:
        await server.kill()
        await eventually(lambda: not link.in_use, 4 * REST_S + 1)
        with pytest.raises(RedisUnavailable):
            await link.get("n")


async def test_idle_connections_that_redis_closed_are_no_outage(server: RedisServer) -> None:
    """A connection that was closed meanwhile is not used again, and Redis stays in use."""
    async with open_link(server.url) as link:
        told: list[bool] = []
        link.watch(lambda in_use, _: told.append(in_use))
        assert (await outcome(link, "a"))[0] == "answered"
        await server.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        await asyncio.sleep(0.05)
        assert (await outcome(link, "b"))[0] == "answered"
        assert told == []


async def test_a_redis_that_is_not_there_yet() -> None:
    """Opening returns, bounded; the link is in use once Redis is up."""
    server = RedisServer()
    told: list[tuple[bool, str]] = []
    async with open_link(server.url, tell=lambda *news: told.append(news)) as link:
        assert not link.in_use
        assert [in_use for in_use, _ in told] == [False]
        assert str(server.port) in told[0][1]
        with pytest.raises(RedisUnavailable):
            await link.get("k")
        async with server:
            await eventually(lambda: link.in_use, 2 * REST_S + 2)


async def test_refusals_are_no_outages() -> None:
    """A full memory, a wrong type and a script's own error concern one command each; Redis stays in use."""
    async with (
        RedisServer({"maxmemory": "100kb", "maxmemory-policy": "noeviction"}) as server,
        open_link(server.url) as link,
    ):
        with pytest.raises(RedisRefused, match="maxmemory"):
            await link.run(Script("return redis.call('SET', KEYS[1], ARGV[1])"), ["k"], ["v"])
        with pytest.raises(RedisRefused, match="my own"):
            await link.run(Script("return redis.error_reply('my own')"), ["k"])
        assert await link.get("k") is None
        await server.command("CONFIG", "SET", "maxmemory", "0")
        await server.command("RPUSH", "list", "1")
        with pytest.raises(RedisRefused, match="WRONGTYPE"):
            await link.get("list")
        assert link.in_use


async def test_a_replica_is_not_taken_for_redis(server: RedisServer) -> None:
    """A Redis that may only be read is out of use until it may be written."""
    async with RedisServer() as master, open_link(server.url) as link:
        await server.command("REPLICAOF", "127.0.0.1", master.port)
        with pytest.raises(RedisUnavailable, match="read only"):
            await link.run(COUNT, ["n"])
        await asyncio.sleep(2 * REST_S)
        assert not link.in_use
        await server.command("REPLICAOF", "NO", "ONE")
        await eventually(lambda: link.in_use, 3 * REST_S + 1)


async def test_a_password(server: RedisServer) -> None:
    """The right one is used, a wrong one is an outage that says so."""
    await server.command("CONFIG", "SET", "requirepass", "s3cret")
    async with open_link(f"redis://:s3cret@127.0.0.1:{server.port}/2") as link:
        assert await link.run(COUNT, ["n"]) == 1
    async with open_link(f"redis://:wrong@127.0.0.1:{server.port}") as link:
        with pytest.raises(RedisUnavailable, match="password"):
            await link.get("n")


async def test_subscriptions_live_through_an_outage(server: RedisServer) -> None:
    """Messages arrive; after a restart it listens again and says that it has missed some."""
    heard: list[str] = []
    resumed = 0

    def count() -> None:
        nonlocal resumed
        resumed += 1

    async with open_link(server.url) as link:
        await link.subscribe("news", heard.append, count)
        await eventually(lambda: resumed == 1)
        await server.command("PUBLISH", "news", "one")
        await eventually(lambda: heard == ["one"])
        await server.restart()
        await eventually(lambda: resumed == 2, 4 * REST_S + 2)
        await server.command("PUBLISH", "news", "two")
        await eventually(lambda: heard == ["one", "two"])
    assert resumed == 2


async def test_a_cluster_of_three_masters() -> None:
    """Keys of all slots are served, scripts too; news go through any node; a moved slot is followed."""
    heard: list[str] = []
    listening = asyncio.Event()
    async with redis_cluster() as nodes:
        seeds = ",".join(f"127.0.0.1:{node.port}" for node in nodes[:2])
        async with open_link(f"redis+cluster://{seeds}") as link:
            await link.subscribe("news", heard.append, listening.set)
            for i in range(60):
                assert await link.run(COUNT, [f"n{{{i}}}"]) == 1
                assert await link.get(f"n{{{i}}}") == b"1"
            sizes = [int(await node.command("DBSIZE")) for node in nodes]
            assert min(sizes) > 5
            async with asyncio.timeout(5):
                await listening.wait()
            for i in range(3):
                await link.run(Script("return redis.call('PUBLISH', 'news', ARGV[1])"), [f"{{{i}}}"], [i])
            await eventually(lambda: sorted(heard) == ["0", "1", "2"])
            await _move_an_empty_slot(nodes)
            assert [await link.run(COUNT, ["{moved}"]) for _ in range(3)] == [1, 2, 3]
            assert link.in_use


async def _move_an_empty_slot(nodes: list[RedisServer]) -> None:
    slot = int(await nodes[0].command("CLUSTER", "KEYSLOT", "{moved}"))
    owner = slot * len(nodes) // 16384
    target = (owner + 1) % len(nodes)
    name = await nodes[target].command("CLUSTER", "MYID")
    for node in (nodes[target], nodes[owner]):
        await node.command("CLUSTER", "SETSLOT", slot, "NODE", name)


async def test_a_cluster_that_loses_a_master() -> None:
    """Out of use while a part of the slots is gone, each call bounded; in use again after."""
    async with (
        redis_cluster() as nodes,
        open_link(f"redis+cluster://127.0.0.1:{nodes[0].port}", timeout_s=TIMEOUT_S) as link,
    ):
        nodes[1].stop_signal()
        met = await asyncio.gather(*(outcome(link, str(i)) for i in range(5)))
        for i in range(30):
            began = time.monotonic()
            with suppress(RedisUnavailable):
                await link.get(f"{{{i}}}")
            met.append(("", time.monotonic() - began))
        assert max(seconds for _, seconds in met) < TIMEOUT_S + SLACK_S
        assert not link.in_use
        nodes[1].continue_signal()
        await eventually(lambda: link.in_use, 10)
        for i in range(30):
            assert await link.get(f"{{{i}}}") is None


async def test_behind_a_sentinel_the_new_master_is_found() -> None:
    """When the master stalls and the sentinel makes the replica the master, the link goes there by itself."""
    async with RedisServer() as master, RedisServer() as replica:
        await replica.command("REPLICAOF", "127.0.0.1", master.port)
        config = (
            f"sentinel monitor ours 127.0.0.1 {master.port} 1\n"
            "sentinel down-after-milliseconds ours 500\nsentinel failover-timeout ours 2000\n"
        )
        async with RedisServer(sentinel_config=config) as sentinel:
            await _until_replicated(master)
            url = f"redis+sentinel://127.0.0.1:1,127.0.0.1:{sentinel.port}/ours"
            async with open_link(url, timeout_s=TIMEOUT_S) as link:
                assert await link.run(COUNT, ["n"]) == 1
                await _until_known(sentinel)
                master.stop_signal()
                assert (await outcome(link, "x"))[0] == "unavailable"
                await eventually(lambda: link.in_use, 30)
                assert await link.run(COUNT, ["n"]) >= 1
                assert "role:master" in await replica.command("INFO", "replication")


async def _until_replicated(master: RedisServer) -> None:
    async with asyncio.timeout(15):
        while "state=online" not in await master.command("INFO", "replication"):  # noqa: ASYNC110 - its own state
            await asyncio.sleep(0.05)


async def _until_known(sentinel: RedisServer) -> None:
    async with asyncio.timeout(30):
        while "slaves=1" not in await sentinel.command("INFO", "sentinel"):  # noqa: ASYNC110 - its own state
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("http://127.0.0.1", "no way to Redis"),
        ("redis+ring://127.0.0.1", "no way to Redis"),
        ("redis+sentinel://127.0.0.1", "master's name"),
        ("redis://", "no host"),
        ("redis+cluster://a,,b", "no host"),
        ("redis://a:99999", "[Pp]ort"),
        ("redis://a,b", "one address"),
        ("redis://a?colour=red", "colour"),
    ],
)
def test_addresses_that_are_none(url: str, says: str) -> None:
    """An address that cannot be meant is refused with what is wrong."""
    with pytest.raises(ValueError, match=says):
        RedisLink(url)


@pytest.mark.parametrize(
    "url",
    [
        "redis://[::1]:6380/3",
        "rediss://user:p%40ss@redis.example?ssl_ca_certs=/etc/ca.pem",
        "rediss+cluster://a,b:7000,[::1]:7001",
        "redis+sentinel://:secret@a,b:26380/ours?db=2",
    ],
)
async def test_addresses_that_are_some(url: str) -> None:
    """Other hosts, ports, credentials and options are taken; nothing is asked before it is opened."""
    link = RedisLink(url)
    with pytest.raises(RedisUnavailable, match="not open"):
        await link.get("k")
    await link.close()
