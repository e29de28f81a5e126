"""The pair of services as child processes, with small stand-ins for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from ocrmux_client.errors import ServicesNotRunning
from ocrmux_client.pair import ServiceCommand, ServicePair

SERVICE = """
import os, pathlib, signal, sys, time
prefix = "{prefix}"
print("hello from " + prefix + " for " + os.environ.get("PREPROCESS_GATEWAY_TARGET", "nobody"), flush=True)
def stop(number, frame):
    pathlib.Path(os.environ["STUB_FOLDER"], prefix + "stopped").touch()
    sys.exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN if {deaf} else stop)
pathlib.Path(os.environ[prefix + "READY_FILE"]).write_text(os.environ[prefix + "LISTEN"].replace(":0", ":{port}"))
pathlib.Path(os.environ["STUB_FOLDER"], prefix + "pid").write_text(str(os.getpid()))
time.sleep(120)
"""
BROKEN = "import sys\nprint('no such model')\nsys.exit('the settings are wrong')\n"
NEVER_READY = "import time\ntime.sleep(120)\n"
GATEWAY = ServiceCommand("the gateway", "stub_gateway_module", "GATEWAY_")
PREPROCESS = ServiceCommand("the preprocess service", "stub_preprocess_module", "PREPROCESS_")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Modules that behave like the two services, importable by children."""
    write(tmp_path, GATEWAY, SERVICE.format(prefix="GATEWAY_", deaf=False, port=41))
    write(tmp_path, PREPROCESS, SERVICE.format(prefix="PREPROCESS_", deaf=False, port=42))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("STUB_FOLDER", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def write(folder: Path, command: ServiceCommand, text: str) -> None:
    (folder / f"{command.module}.py").write_text(text)


def pair(**options: float | bool) -> ServicePair:
    return ServicePair(commands=(GATEWAY, PREPROCESS), **options)  # type: ignore[arg-type]


def process(folder: Path, prefix: str) -> psutil.Process:
    return psutil.Process(int((folder / f"{prefix}pid").read_text()))


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_both_services_are_started_and_stopped(folder: Path) -> None:
    """Their addresses are known once they serve, the second knows the first, and both are asked to stop."""
    with pair() as running:
        assert (running.gateway_target, running.preprocess_target) == ("127.0.0.1:41", "127.0.0.1:42")
        log = (running.log_folder / "stub_preprocess_module.log").read_text()
        assert "hello from PREPROCESS_ for 127.0.0.1:41" in log
        running.check()
    assert (folder / "GATEWAY_stopped").exists()
    assert (folder / "PREPROCESS_stopped").exists()
    assert not running.log_folder.exists()


def test_the_gateway_can_run_alone(folder: Path) -> None:
    """For a question that needs no more."""
    with pair(gateway_only=True) as running:
        assert running.gateway_target
    assert not (folder / "PREPROCESS_pid").exists()


def test_the_preprocess_service_can_run_alone(folder: Path) -> None:
    """For pages that nobody reads; it is told of no gateway."""
    with pair(preprocess_only=True) as running:
        assert (running.gateway_target, running.preprocess_target) == ("", "127.0.0.1:42")
        assert "for nobody" in (running.log_folder / "stub_preprocess_module.log").read_text()
        running.check()
    assert not (folder / "GATEWAY_pid").exists()


def test_a_service_that_dies_at_its_start_is_told_with_its_last_words(folder: Path) -> None:
    """The error names the service, its exit status and its last log lines; the other one is stopped."""
    write(folder, PREPROCESS, BROKEN)
    running = pair()
    with pytest.raises(ServicesNotRunning) as caught, running:
        pytest.fail("nothing runs")
    assert "the preprocess service ended with exit status 1; its last log lines:" in str(caught.value)
    assert "  no such model" in str(caught.value)
    assert "  the settings are wrong" in str(caught.value)
    assert (folder / "GATEWAY_stopped").exists()
    assert str(caught.value).endswith(f"the logs are kept in {running.log_folder}")
    assert "no such model" in (running.log_folder / "stub_preprocess_module.log").read_text()


def test_an_interrupted_start_leaves_nothing_behind(folder: Path) -> None:
    """An interrupt is no failure: its logs are not kept."""

    def interrupted(what: str) -> None:
        if "preprocess" in what:
            raise KeyboardInterrupt

    running = ServicePair(commands=(GATEWAY, PREPROCESS), told=interrupted)
    with pytest.raises(KeyboardInterrupt), running:
        pytest.fail("nothing runs")
    assert (folder / "GATEWAY_stopped").exists()
    assert not running.log_folder.exists()


def test_a_service_that_is_never_ready_is_given_up(folder: Path) -> None:
    """The wait for a start is bounded, and the process is ended."""
    write(folder, GATEWAY, NEVER_READY)
    with pytest.raises(ServicesNotRunning, match=r"not ready within 0\.5 s"), pair(start_timeout_s=0.5):
        pytest.fail("nothing runs")


def test_a_service_that_dies_later_is_noticed(folder: Path) -> None:
    """check tells which one, and by what signal."""
    with pair() as running:
        victim = process(folder, "GATEWAY_")
        victim.kill()
        os.waitid(os.P_PID, victim.pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(ServicesNotRunning, match="the gateway was ended by SIGKILL"):
            running.check()


def test_a_service_that_does_not_stop_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGTERM first, SIGKILL after the bound."""
    monkeypatch.setattr("ocrmux_client.pair.STOP_TIMEOUT_S", 0.2)
    write(folder, GATEWAY, SERVICE.format(prefix="GATEWAY_", deaf=True, port=41))
    with pair():
        stubborn = process(folder, "GATEWAY_").pid
    assert gone(stubborn)


def test_no_service_outlives_a_starter_that_was_killed(folder: Path) -> None:
    """kill -9 of the starter lets the leash go: both services stop by themselves, and the logs' folder goes."""
    script = """
    import time
    from ocrmux_client.pair import ServiceCommand, ServicePair
    gateway = ServiceCommand("the gateway", "stub_gateway_module", "GATEWAY_")
    preprocess = ServiceCommand("the preprocess service", "stub_preprocess_module", "PREPROCESS_")
    with ServicePair(commands=(gateway, preprocess)):
        print("up", flush=True)
        time.sleep(120)
    """
    starter = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)
    assert starter.stdout is not None
    assert starter.stdout.readline() == b"up\n"
    children = [process(folder, prefix) for prefix in ("GATEWAY_", "PREPROCESS_")]
    assert all(os.getsid(child.pid) == child.pid for child in children)
    assert len(list(folder.glob("ocrmux-*"))) == 1
    os.kill(starter.pid, signal.SIGKILL)
    starter.wait()
    starter.stdout.close()
    psutil.wait_procs(children, timeout=10)
    assert all(gone(child.pid) for child in children)
    assert list(folder.glob("ocrmux-*")) == []
    assert (folder / "GATEWAY_stopped").exists()
    assert (folder / "PREPROCESS_stopped").exists()
