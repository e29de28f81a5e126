"""Plays a scenario with one driver before its pair."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc

from ocrmux.preprocess.v1.preprocess_pb2_grpc import PreprocessServiceStub
from tests.clients.conformance.driver_run import DriverRun, run_driver
from tests.clients.conformance.drivers import Driver
from tests.clients.conformance.item_files import Sent, base_file, files_of, generated_text
from tests.clients.conformance.live_pair import LivePair, PairPool
from tests.clients.conformance.scenario import Items, Scenario
from tests.clients.conformance.verdict import Counts, differences
from tests.fakes.fleet import until
from tests.fakes.numbered_images import numbered, png_of_size
from tests.fakes.preprocess_messages import config, source

_OTHER_CALL_S = 20.0
_READY_S = 30.0
_LEFT_AT_WORK = ("CANCELLED", "DEADLINE_EXCEEDED", "UNAVAILABLE")
"""Ends after which the servers may still be about what the client has left."""


class Stage:
    """One scenario, one driver."""

    def __init__(self, scenario: Scenario, driver: Driver, pool: PairPool, folder: Path) -> None:
        self._scenario = scenario
        self._driver = driver
        self._pool = pool
        self._folder = folder
        self._seed = f"{scenario.name} {driver.name}"
        self._calls = AsyncExitStack()

    async def differences(self) -> tuple[list[str], DriverRun]:
        """What was not as expected, a line each, and the run. Raises DriverFailed."""
        scenario = self._scenario
        pair = await self._pool.pair(scenario.servers)
        await until(lambda: _idle(pair), _READY_S)
        await pair.standin.configure(fresh=True, **scenario.standin)
        told, sent = self._told(pair)
        for _ in range(scenario.runs_before):
            before = await run_driver(self._driver.command, told, self._folder, [], self._nothing)
            codes = {before.end["code"], *(answer["code"] for answer in before.answers)}
            if codes != {"OK"}:
                return [f"the run before: {sorted(codes)}, {before.end}"], before
        for action in scenario.between:
            await self._act(action, DriverRun(), pair)
        await pair.standin.reset()
        logged = len(pair.items_logged())
        async with self._calls:
            if scenario.calls_taken:
                await self._calls.enter_async_context(_call_taken(pair.target))
            run = await run_driver(
                self._driver.command, told, self._folder, scenario.events, lambda what, run: self._act(what, run, pair)
            )
        if scenario.driver.call == "recognize":
            for answer in run.answers:
                answer["id"] = sent[0].entry["id"]  # a unary call has none
        return differences(scenario, sent, run, await self._counts(pair, run, logged)), run

    async def _counts(self, pair: LivePair, run: DriverRun, logged: int) -> Counts:
        sent = None
        if self._scenario.expect.sent is not None:
            await until(lambda: len(pair.items_logged()) > logged, _READY_S)
            sent = sum(pair.items_logged()[logged:])
        if run.end["code"] in _LEFT_AT_WORK:
            stats = await pair.settled()
        else:
            await until(lambda: _idle(pair), _READY_S)
            stats = await pair.standin.stats()
        return Counts(stats["billed_units"], sent)

    async def _nothing(self, _action: str, _run: DriverRun) -> None:
        """Of a run to which nothing happens."""

    async def _act(self, action: str, run: DriverRun, pair: LivePair) -> None:
        verb, _, name = action.partition(" ")
        match verb:
            case "kill":
                await pair.kill(name)
            case "terminate":
                pair.terminate(name)
            case "start":
                await pair.start(name)
            case "settle":
                run.billed_while_held = (await pair.settled())["billed_units"]
            case "serve":
                await _serve_another(pair.target, f"{self._seed} another")
            case "go":
                run.go_on()
            case _:
                await self._calls.aclose()

    def _told(self, pair: LivePair) -> tuple[dict[str, Any], list[Sent]]:
        """The driver's input, and the items in it."""
        scenario, driver = self._scenario, self._scenario.driver
        told: dict[str, Any] = {
            "target": pair.target,
            "gateway_target": pair.gateway_target,
            "call": driver.call,
            "config": {"features": ["TEXT"], "profile": "none", **driver.config},
            "policy": driver.policy,
        }
        if scenario.servers.tls:
            told["tls"] = {"ca_file": str(pair.other_ca_file if driver.ca == "wrong" else pair.ca_file)}
        if driver.certificate:
            own = pair.client_certificate
            told["tls"] |= {"cert_file": str(own.cert_file), "key_file": str(own.key_file)}
        if scenario.servers.tokens and driver.token != "none":
            told["token"] = pair.token if driver.token == "right" else f"{pair.token}x"
        optional = {"tenant": driver.tenant, "hold_after": driver.hold_after, "cancel_after": driver.cancel_after}
        told |= {name: value for name, value in optional.items() if value}
        if driver.generated is not None:
            file = base_file(self._folder, self._seed)
            made = driver.generated
            told["generated"] = {"count": made.count, "bytes": made.bytes, "base": str(file)}
            base = file.read_bytes()
            return told, [
                Sent(Items(id=f"g{i}"), {"id": f"g{i}"}, generated_text(base, made, i)) for i in range(made.count)
            ]
        sent = files_of(driver.items, self._folder, self._seed)
        told["items"] = [each.entry for each in sent]
        return told, sent


async def _idle(pair: LivePair) -> bool:
    return bool((await pair.standin.stats())["in_progress"] == 0)


@asynccontextmanager
async def _call_taken(target: str) -> AsyncIterator[None]:
    """A stream of somebody else's, which the service has taken when this is entered."""
    async with grpc.aio.insecure_channel(target) as channel:
        call: Any = PreprocessServiceStub(channel).StreamRecognize(timeout=_OTHER_CALL_S)
        await call.write(config(profile="none"))
        await call.read()
        try:
            yield
        finally:
            call.cancel()


async def _serve_another(target: str, name: str) -> None:
    """Another caller's item is answered while the driver holds. Raises AssertionError, or what gRPC raises."""
    async with grpc.aio.insecure_channel(target) as channel:
        call: Any = PreprocessServiceStub(channel).StreamRecognize(timeout=_OTHER_CALL_S)
        await call.write(config(profile="none"))
        await call.read()
        await call.write(source(name, numbered(png_of_size(2000), name)))
        await call.done_writing()
        answer = (await call.read()).answer
        assert answer.HasField("document"), f"another caller's item: {answer.error}"
