"""What can go wrong before anything runs, and what the message then tells to do."""

import asyncio
import errno
import http.server
import os
import shutil
import socket
import threading
from collections import namedtuple
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import pytest

from tonle.stack import jars, postgres_home, process, secrets, state
from tonle.stack.errors import StackError
from tonle.stack.kafka import Kafka
from tonle.stack.postgres import AUDITOR, SUPERUSER, Postgres
from tonle.stack.supervisor import Stack, StackSettings

Usage = namedtuple("Usage", "total used free")


async def refused(settings: StackSettings) -> StackError:
    with pytest.raises(StackError) as caught:
        await Stack(settings, services=()).start()
    return caught.value


async def test_a_taken_port_is_named_with_the_option_to_leave_out(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        error = await refused(StackSettings(data_dir=tmp_path / "data", ports={"kafka": port}))
    assert error.message == f"Port {port}, asked for kafka, is taken by another program."
    assert f"leave out `--port kafka={port}`" in error.remedy


async def test_a_port_for_an_unknown_part_is_answered_with_the_parts(tmp_path: Path) -> None:
    error = await refused(StackSettings(data_dir=tmp_path / "data", ports={"kafak": 9092}))
    assert "kafka, kafka-controller, postgres" in error.remedy


async def test_a_folder_that_cannot_be_made_is_named_with_the_way_to_choose_another(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = await refused(StackSettings(data_dir=tmp_path / "file" / "data"))
    assert "file/data cannot be written" in error.message
    assert "TONLE_HOME" in error.remedy


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_folder_without_the_right_to_write_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    error = await refused(StackSettings(data_dir=tmp_path / "data"))
    tmp_path.chmod(0o700)
    assert "Permission denied" in error.message


async def test_a_full_disk_is_said_before_anything_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 9 * 10**8, 10**8))
    error = await refused(StackSettings(data_dir=tmp_path / "data"))
    assert error.message.startswith("Only 95 MB are free")
    assert not (tmp_path / "data" / "postgres").exists()


async def test_a_disk_that_fills_while_starting_is_said_and_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(_: Postgres) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    async def wait(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(Postgres, "prepare", full)
    monkeypatch.setattr(Kafka, "prepare", wait)
    error = await refused(StackSettings(data_dir=tmp_path / "data"))
    assert error.message.endswith("cannot be written: No space left on device.")
    left = state.load(tmp_path / "data")
    assert left is not None
    assert (left.state, left.message) == ("failed", error.message)


def test_a_download_that_fails_names_the_file_and_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONLE_MAVEN_MIRROR", f"http://127.0.0.1:{process.free_port()}")
    with pytest.raises(StackError) as caught:
        jars.ensure(cache=tmp_path)
    assert "could not be downloaded (ConnectionError)" in caught.value.message
    assert "TONLE_MAVEN_MIRROR" in caught.value.remedy


def test_a_jar_with_other_bytes_than_locked_is_refused_and_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(b"not a jar") as url:
        monkeypatch.setenv("TONLE_MAVEN_MIRROR", url)
        with pytest.raises(StackError, match="SHA-256 differs"):
            jars.ensure(cache=tmp_path)
    assert not list(tmp_path.rglob("*.jar"))


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user needs no refuge")
@pytest.mark.stack
async def test_as_root_without_namespaces_postgresql_runs_as_nobody_from_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_home, "_can_run", lambda *_: False)
    made = secrets.ensure(tmp_path / "secrets", roles=(SUPERUSER, AUDITOR, "payments"), partners=())
    server = Postgres(tmp_path / "postgres", process.free_port(), made, ("payments",), durable=False)
    for _ in ("first start", "second start"):
        await server.prepare()
        child = await server.spawn(tmp_path / "postgres.log")
        await server.ready(child.exited)
        await (await asyncpg.connect(server.dsn("payments"))).close()
        assert Path(f"/proc/{child.pid}").owner() == "nobody"
        await child.stop(30)
    shutil.rmtree((tmp_path / "postgres").readlink().parent)


@contextmanager
def serving(body: bytes) -> Iterator[str]:
    """A repository on loopback that answers every request with the same bytes."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
