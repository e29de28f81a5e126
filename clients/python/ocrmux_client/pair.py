"""The two services as child processes on loopback ports."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ocrmux_client.errors import ServicesNotRunning

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 10.0
_POLL_S = 0.02
_LOG_TAIL_LINES = 15
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class ServiceCommand:
    """How one service is started: the module, and the prefix of its settings in the environment."""

    name: str
    module: str
    env_prefix: str


GATEWAY = ServiceCommand("the gateway", "ocr_gateway", "GATEWAY_")
PREPROCESS = ServiceCommand("the preprocess service", "preprocess_service", "PREPROCESS_")


class ServiceProcess:
    """One service in a session of its own; it never outlives the process that started it (see ``leash``)."""

    def __init__(self, command: ServiceCommand, listen: str, folder: Path, *, log_to_stderr: bool) -> None:
        self.name = command.name
        self._ready_file = folder / f"{command.module}.addr"
        self.log_file = None if log_to_stderr else folder / f"{command.module}.log"
        self._env = {f"{command.env_prefix}LISTEN": listen, f"{command.env_prefix}READY_FILE": str(self._ready_file)}
        if self.log_file is not None:
            self._env |= {f"{command.env_prefix}LOG_FORMAT": "pretty"}
        self._arguments = [sys.executable, "-P", "-m", "ocrmux_client.leash", str(folder), command.module]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, env: Mapping[str, str]) -> None:
        """Starts the process; ``env`` is added to the environment."""
        log = contextlib.nullcontext() if self.log_file is None else self.log_file.open("wb")
        with log as output:
            self._process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.PIPE,
                stdout=2 if output is None else output,
                stderr=2 if output is None else subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **self._env, **env},
            )

    def address(self, timeout_s: float) -> str:
        """The ``host:port`` that the service is bound to, once it serves. Raises ServicesNotRunning."""
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            self.check()
            if self._ready_file.exists():
                return self._ready_file.read_text(encoding="utf-8").strip()
            time.sleep(_POLL_S)
        raise ServicesNotRunning(f"{self.name} was not ready within {timeout_s:g} s{self._log_tail()}")

    def check(self) -> None:
        """Raises ServicesNotRunning if the process has ended."""
        if self._process is not None and (code := self._process.poll()) is not None:
            ending = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit status {code}"
            raise ServicesNotRunning(f"{self.name} {ending}{self._log_tail()}")

    def stop(self, timeout_s: float) -> None:
        """Ends the process: SIGTERM, and SIGKILL to its whole group after ``timeout_s``."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):  # it ended just now
                    os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()

    def _log_tail(self) -> str:
        if self.log_file is None:
            return "; its log stands above"
        lines = _COLOURS.sub("", self.log_file.read_text(encoding="utf-8", errors="replace")).splitlines()
        if not lines:
            return "; it logged nothing"
        last = "\n".join(f"  {line}" for line in lines[-_LOG_TAIL_LINES:])
        return f"; its last log lines:\n{last}"


class ServicePair:
    """Both services, or one of them alone, running while the context is open.

    Entering blocks until both serve and raises ServicesNotRunning if they do not within ``start_timeout_s`` seconds
    each; leaving stops them. They log to standard error, or to files in a temporary folder (``log_folder``). That stays
    behind only when a service failed, of which the error tells, or ``keep_logs`` was called.
    """

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        preprocess_port: int = 0,
        gateway_port: int = 0,
        gateway_only: bool = False,
        preprocess_only: bool = False,
        log_to_stderr: bool = False,
        start_timeout_s: float = START_TIMEOUT_S,
        commands: tuple[ServiceCommand, ServiceCommand] = (GATEWAY, PREPROCESS),
        told: Callable[[str], None] | None = None,
    ) -> None:
        self._gateway_only = gateway_only
        self._preprocess_only = preprocess_only
        self._start_timeout_s = start_timeout_s
        self._told = told
        self.log_folder = Path(tempfile.mkdtemp(prefix="ocrmux-"))
        self._gateway = ServiceProcess(
            commands[0], f"{host}:{gateway_port}", self.log_folder, log_to_stderr=log_to_stderr
        )
        self._preprocess = ServiceProcess(
            commands[1], f"{host}:{preprocess_port}", self.log_folder, log_to_stderr=log_to_stderr
        )
        self.gateway_target = ""
        self.preprocess_target = ""
        self._logs_to_stderr = log_to_stderr
        self._keeps_logs = False

    def __enter__(self) -> Self:
        try:
            with self._keeping_logs_of_failures():
                self._start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def check(self) -> None:
        """Raises ServicesNotRunning if a service has died."""
        with self._keeping_logs_of_failures():
            self._gateway.check()
            self._preprocess.check()

    def keep_logs(self) -> None:
        """Leaves the logs where they are when the services have stopped."""
        self._keeps_logs = True

    def stop(self) -> None:
        """Stops both, the caller of the other one first; each within 10 seconds."""
        self._preprocess.stop(STOP_TIMEOUT_S)
        self._gateway.stop(STOP_TIMEOUT_S)
        if not self._keeps_logs:
            shutil.rmtree(self.log_folder, ignore_errors=True)

    @contextlib.contextmanager
    def _keeping_logs_of_failures(self) -> Iterator[None]:
        try:
            yield
        except ServicesNotRunning as failure:
            if self._logs_to_stderr:
                raise
            self._keeps_logs = True
            raise ServicesNotRunning(f"{failure}\nthe logs are kept in {self.log_folder}") from failure

    def _start(self) -> None:
        env: dict[str, str] = {}
        if not self._preprocess_only:
            self._tell("starting the gateway")
            self._gateway.start({})
            self.gateway_target = self._gateway.address(self._start_timeout_s)
            env = {"PREPROCESS_GATEWAY_TARGET": _reachable(self.gateway_target)}
        if not self._gateway_only:
            self._tell("starting the preprocess service")
            self._preprocess.start(env)
            self.preprocess_target = self._preprocess.address(self._start_timeout_s)

    def _tell(self, what: str) -> None:
        if self._told is not None:
            self._told(what)


def _reachable(address: str) -> str:
    """The address to call for a bound one: a wildcard is called by loopback."""
    host, _, port = address.rpartition(":")
    return f"{ {'0.0.0.0': '127.0.0.1', '[::]': '[::1]'}.get(host, host) }:{port}"  # noqa: S104 - compared, not bound
