"""A stack of the test's own: what dies is started again, what was written stays, ends are clean."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import asyncpg
import psutil
import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from contracts import topics
from tests import containers
from tonle.stack import admission, process, state, supervisor
from tonle.stack.errors import StackError
from tonle.stack.process import Identity
from tonle.stack.programs import Program
from tonle.stack.state import WebPart
from tonle.stack.supervisor import Stack, StackSettings

pytestmark = pytest.mark.stack

TOPIC = topics.CYCLE_CHANGED.name
SERVER = "import http.server, os; http.server.HTTPServer(('127.0.0.1', int(os.environ['TONLE_PORT'])), \
http.server.SimpleHTTPRequestHandler).serve_forever()"
STAND_IN = Program("stand-in", "service", (sys.executable, "-c", SERVER), lambda _place: {}, "/")
UNREADY = """import http.server, json, os
class Unready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503)
        self.end_headers()
        self.wfile.write(json.dumps({"reasons": [os.environ["REASON"]]}).encode())
http.server.HTTPServer(("127.0.0.1", int(os.environ["TONLE_PORT"])), Unready).serve_forever()"""
SUPERVISOR = (sys.executable, "-m", "tonle.stack.supervisor")


def small(folder: Path, **changes: object) -> StackSettings:
    usual = {"data_dir": folder, "durable": False, "partitions": 2, "heap_mb": 256}
    return StackSettings.model_validate({**usual, **changes})


async def until(condition: Callable[[], bool], patience_s: float = 30) -> None:
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.02)


@pytest_asyncio.fixture
async def crowd(tmp_path: Path) -> AsyncIterator[Stack]:
    async with Stack(small(tmp_path / "data"), services=[STAND_IN]) as stack:
        yield stack


@pytest.fixture
def alone(stack: Stack) -> Stack:
    """The session's stack, where its servers are processes of this machine."""
    if containers.chosen():
        pytest.skip("Kafka and PostgreSQL run in containers")
    return stack


async def test_whatever_is_killed_is_started_again_and_counted(crowd: Stack) -> None:
    before = {name: part.pid for name, part in crowd.state.parts().items()}
    for pid in before.values():
        os.kill(pid or 0, signal.SIGKILL)
    await until(lambda: all(part.restarts == 1 for part in crowd.state.parts().values()))
    await until(lambda: all(part.state == "running" for part in crowd.state.parts().values()))
    shown = state.load(crowd.settings.data_dir)
    assert shown is not None
    assert {part.last_error for part in shown.parts().values()} == {"ended by signal 9"}
    assert all(part.pid != before[name] for name, part in shown.parts().items())
    assert await admission.answers(shown.kafka.broker("auditor"))
    await (await asyncpg.connect(shown.postgres.dsn["payments"])).close()


async def test_children_end_with_a_killed_supervisor_and_the_next_one_finds_all_data(tmp_path: Path) -> None:
    settings = small(tmp_path / "data", servers_only=True)
    supervisor = await asyncio.create_subprocess_exec(
        *SUPERVISOR, settings.model_dump_json(), stdout=asyncio.subprocess.PIPE
    )
    assert supervisor.stdout is not None
    while (line := await supervisor.stdout.readline()) != b'{"running": true}\n':
        assert line, "the supervisor ended"
    left = state.load(settings.data_dir)
    assert left is not None
    assert left.runs()
    await write(left)
    supervisor.kill()
    await supervisor.wait()
    assert not left.runs()
    await until(lambda: not any(each.identity and each.identity.alive() for each in left.parts().values()))
    lock = settings.data_dir / "postgres" / "postmaster.pid"
    other = await asyncio.create_subprocess_exec("sleep", "60")
    for _ in ("after the crash", "after a clean stop"):
        lock.write_text(f"{other.pid}\n{lock.parent}\n")  # the pid is another program's by now
        # As if the folder came from before there were passwords, or all of them had to be replaced.
        for password in (settings.data_dir / "secrets").glob("kafka-*.password"):
            password.unlink()
        async with Stack(settings, services=()) as stack:
            assert await read(stack.state) == ("kept", b"kept")
    assert not any(each.identity and each.identity.alive() for each in stack.state.parts().values())
    assert other.returncode is None
    other.kill()
    await other.wait()


async def test_a_supervisor_asked_to_stop_ends_its_children_first(tmp_path: Path) -> None:
    settings = small(tmp_path / "data", servers_only=True)
    supervisor = await asyncio.create_subprocess_exec(
        *SUPERVISOR, settings.model_dump_json(), stdout=asyncio.subprocess.PIPE
    )
    assert supervisor.stdout is not None
    await supervisor.stdout.readline()
    supervisor.terminate()  # while it is still starting
    assert b"running" not in await supervisor.stdout.read()
    assert await supervisor.wait() == 0
    assert not [
        each for each in psutil.process_iter(["cmdline"]) if str(tmp_path) in str(each.info["cmdline"])
    ]


async def test_a_second_stack_on_one_folder_is_refused_and_the_first_is_left_alone(stack: Stack) -> None:
    with pytest.raises(StackError, match=r"already.*tonle down"):
        await Stack(small(stack.settings.data_dir), services=()).start()
    assert stack.state.postgres.state == "running"


async def test_a_program_that_cannot_start_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    broken = Program(
        "broken", "service", (sys.executable, "-c", "raise SystemExit('no wings')"), lambda _: {}
    )
    with pytest.raises(StackError, match=r"(?s)broken did not start.*no wings"):
        await Stack(small(tmp_path / "data"), services=[broken]).start()
    left = state.load(tmp_path / "data")
    assert left is not None
    assert left.state == "failed"
    assert not left.runs()


@pytest.mark.parametrize(
    ("reason", "starts"),
    [
        ("partition payment.issued.v1/0 is stopped: its log ends at 0, before what was done", True),
        ("the database does not answer", False),
    ],
)
async def test_a_service_with_a_stopped_partition_is_up_so_that_it_can_be_recovered(
    reason: str, starts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "PROGRAM_READY_S_MAX", 1)
    unready = Program("unready", "service", (sys.executable, "-c", UNREADY), lambda _: {})
    port = process.free_port()
    part = WebPart(port=port, log=tmp_path / "log", url=f"http://127.0.0.1:{port}")
    environment = {"REASON": reason, "TONLE_PORT": str(port)}
    child = await process.spawn(unready.name, unready.command, log=part.log, env=environment)
    await until(lambda: not process.port_is_free(port))
    outcome: AbstractContextManager[object] = (
        nullcontext() if starts else pytest.raises(StackError, match="did not become ready")
    )
    with outcome:
        await supervisor.ready(unready, part, child.exited)
    await child.stop(5)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs a namespace for PostgreSQL")
async def test_as_root_postgresql_runs_in_a_user_namespace_of_its_own(alone: Stack) -> None:
    theirs = Path(f"/proc/{alone.state.postgres.pid}/ns/user").readlink()
    assert theirs != Path("/proc/self/ns/user").readlink()


async def test_the_broker_s_settings_with_its_password_are_the_owners_alone(alone: Stack) -> None:
    kept = (alone.settings.data_dir / "kafka" / "server.properties").stat()
    assert kept.st_mode & 0o777 == 0o600


async def test_the_pid_of_another_process_is_never_ended() -> None:
    sleeper = await asyncio.create_subprocess_exec("sleep", "60")
    real = Identity.of(sleeper.pid)
    assert real is not None
    assert real.alive()
    assert not Identity(real.pid, real.started - 100, real.command).alive()
    assert not Identity(real.pid, real.started, ("sleep", "61")).alive()
    sleeper.kill()
    await sleeper.wait()
    assert not real.alive()


async def write(running: state.StackState) -> None:
    db = await asyncpg.connect(running.postgres.dsn["payments"])
    await db.execute("create table note as select 'kept' as word")
    await db.close()
    producer = AIOKafkaProducer(**running.kafka.broker("admin").options, acks="all")
    await producer.start()
    await producer.send_and_wait(TOPIC, b"kept")
    await producer.stop()


async def read(running: state.StackState) -> tuple[str, bytes]:
    db = await asyncpg.connect(running.postgres.dsn["payments"])
    word = await db.fetchval("select word from note")
    await db.close()
    consumer = AIOKafkaConsumer(TOPIC, **running.kafka.broker("admin").options, auto_offset_reset="earliest")
    await consumer.start()
    value = (await consumer.getone()).value
    await consumer.stop()
    return word, value


async def test_a_child_is_as_nice_as_told_in_its_session_and_beside_others_and_interrupts_nobody(
    tmp_path: Path,
) -> None:
    group = Path("/proc/self/autogroup")
    read = f"pathlib.Path('{group}').read_text()" if group.exists() else "7"
    said = f"import os, pathlib; print(os.nice(0), os.sched_getscheduler(0), {read})"
    log = tmp_path / "child.log"
    child = await process.spawn("child", [sys.executable, "-c", said], log=log, niceness=7)
    assert await child.process.wait() == 0
    niceness, policy, *_, of_group = log.read_text().split()
    assert (niceness, policy, of_group) == ("7", str(os.SCHED_BATCH), "7")
