"""What `tonle status` says of services that run but can't work."""

import json
import os
from pathlib import Path

import httpx
import pytest
import typer
from typer.testing import CliRunner

from tonle import terminal
from tonle.stack import cli, state
from tonle.stack.process import Identity
from tonle.stack.state import KafkaPart, PostgresPart, StackState, WebPart

SERVICES = {"payments": 503, "eligibility": 200, "registration": None}


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    """The commands on a stack whose supervisor is this very process."""
    log = tmp_path / "log"
    parts = {
        name: WebPart(state="running", port=1, log=log, url=f"http://{name}", pid=7) for name in SERVICES
    }
    itself = Identity.of(os.getpid())
    assert itself is not None
    known = StackState(
        state="running",
        data_dir=tmp_path,
        topic_prefix="",
        partitions=2,
        supervisor=itself,
        kafka=KafkaPart(state="running", port=1, log=log, bootstrap="127.0.0.1:1", pid=1, started=1.0),
        postgres=PostgresPart(state="running", port=1, log=log, dsn={}),
        services=parts,
        simulators={},
        tokens={},
    )
    state.save(known)
    monkeypatch.setenv(terminal.HOME_VARIABLE, str(tmp_path))
    monkeypatch.setattr(httpx, "get", answered)
    app = typer.Typer()
    cli.mount(app)
    return app


def answered(url: str, *, timeout: float) -> httpx.Response:
    """As the services would: one can't work, one can, one is silent."""
    code = SERVICES[httpx.URL(url).host]
    if code is None:
        raise httpx.ReadTimeout("silent")
    reasons = ["the database does not answer"] if code == 503 else []
    return httpx.Response(code, json={"reasons": reasons})


def test_a_service_that_runs_but_can_not_work_is_not_ready_with_its_reasons(app: typer.Typer) -> None:
    lines = [line.split("\t") for line in CliRunner().invoke(app, ["status"]).stdout.splitlines()]
    assert {line[0]: (line[1], line[-1]) for line in lines if line[0] in SERVICES} == {
        "payments": ("not-ready", "the database does not answer"),
        "eligibility": ("running", "-"),
        "registration": ("not-ready", "does not answer"),
    }


def test_in_json_the_reasons_stand_beside_the_parts(app: typer.Typer) -> None:
    shown = json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)
    assert shown["not_ready"] == {
        "payments": ["the database does not answer"],
        "registration": ["does not answer"],
    }
    assert shown["services"]["payments"]["state"] == "running"


def test_a_part_whose_process_is_gone_has_ended_though_the_file_says_it_runs(app: typer.Typer) -> None:
    lines = [line.split("\t") for line in CliRunner().invoke(app, ["status"]).stdout.splitlines()]
    assert ("kafka", "ended") in {(line[0], line[1]) for line in lines}
    assert json.loads(CliRunner().invoke(app, ["status", "--json"]).stdout)["kafka"]["state"] == "ended"
