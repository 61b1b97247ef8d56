"""How commands speak when nobody but a pipe listens."""

import json
from pathlib import Path

import httpx
import pytest
import typer
from aiokafka.errors import KafkaConnectionError

from tonle import cli, terminal
from tonle.stack import state


@pytest.mark.parametrize(
    ("obj", "said"),
    [
        (
            [{"part": "kafka", "restarts": 1000}, {"part": "postgres", "restarts": None}],
            "part\trestarts\nkafka\t1000\npostgres\t-\n",
        ),
        ({"stopped": True, "left": [1]}, "stopped\tyes\nleft\t[1]\n"),
        ({"actions": ["read", "household.exit"]}, "actions\tread, household.exit\n"),
        ([], "nothing\n"),
        ("Nothing is parked.", "Nothing is parked.\n"),
    ],
)
def test_in_a_pipe_results_are_tab_separated(
    obj: object, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    terminal.emit(obj, as_json=False)
    assert capsys.readouterr().out == said


def test_json_is_one_object_with_khmer_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.emit({"name": "សុខ", "data_dir": Path("x")}, as_json=True)
    out = capsys.readouterr().out
    assert json.loads(out) == {"name": "សុខ", "data_dir": "x"}
    assert "សុខ" in out


def test_a_failure_goes_to_standard_error_with_its_remedy_and_its_code(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as stop:
        terminal.fail("No stack runs on [x].", "Start one.", terminal.EXIT_NOT_RUNNING)
    assert stop.value.exit_code == 3
    assert capsys.readouterr() == ("", "error: No stack runs on [x].\nStart one.\n")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"title": "No such caller", "detail": "List them."}', "error: No such caller\nList them.\n"),
        (b"<html>", "error: /parked answered 502.\nIts log is in /data/logs.\n"),
    ],
)
def test_a_service_that_refuses_is_quoted(
    body: bytes, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(terminal.HOME_VARIABLE, "/data")
    request = httpx.Request("GET", "http://127.0.0.1/parked")
    with pytest.raises(typer.Exit):
        terminal.checked(httpx.Response(502, content=body, request=request))
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(
    ("code", "token", "said"),
    [
        (
            401,
            "registrar's",
            "error: The token in TONLE_TOKEN is not known to this service.\nUnset TONLE_TOKEN",
        ),
        (401, None, "error: The stack's own token is not known.\nStart the stack again"),
        (403, "registrar's", "error: sokha may not do this.\nAsk somebody who may.\n"),
        (403, None, "error: sokha may not do this.\nYou act as the administrator. Put a token of your own"),
    ],
)
def test_a_token_that_is_not_enough_is_answered_with_which_is(
    code: int,
    token: str | None,
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(terminal.TOKEN_VARIABLE, raising=False)
    if token:
        monkeypatch.setenv(terminal.TOKEN_VARIABLE, token)
    problem = {"title": "sokha may not do this", "detail": "Ask somebody who may."}
    with pytest.raises(typer.Exit):
        terminal.checked(httpx.Response(code, json=problem))
    assert capsys.readouterr().err.startswith(said)


def test_progress_in_a_pipe_ends_with_one_plain_line(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress("Importing", 3) as advance:
        for done in range(1, 4):
            advance(done, "1 quarantined")
    assert capsys.readouterr().err == "Importing: 3 of 3 - 1 quarantined\n"


def test_without_a_stack_a_command_says_how_to_start_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(terminal.HOME_VARIABLE, str(tmp_path))
    with pytest.raises(typer.Exit) as stop:
        terminal.client("payments")
    assert stop.value.exit_code == terminal.EXIT_NOT_RUNNING
    assert "Start one with `tonle up`" in capsys.readouterr().err


def test_a_damaged_state_file_is_named_and_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(terminal.HOME_VARIABLE, str(tmp_path))
    state.path(tmp_path).write_text("{")
    with pytest.raises(typer.Exit):
        terminal.running_stack()
    assert "stack.json cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["up", "--json"], "up"),
        (["--data-dir", "x", "status"], "status"),
        (["--data-dir=x", "down"], "down"),
        (["--help"], ""),
        ([], ""),
    ],
)
def test_only_the_named_command_is_loaded(words: list[str], first: str) -> None:
    assert cli.first_word(words) == first


def test_two_modules_may_share_a_noun() -> None:
    app = typer.Typer()
    household = terminal.group(app, "household", "Households.")
    assert terminal.group(app, "household", "Households.") is household
    assert len(app.registered_groups) == 1


def test_a_command_whose_package_is_missing_does_not_hide_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cli.COMMANDS, "absent", ("tonle.absent",))
    names = {command.callback.__name__ for command in cli.build([]).registered_commands if command.callback}
    assert {"up", "down", "status"} <= names
    with pytest.raises(typer.Exit):
        cli.build(["absent"])


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (httpx.ConnectError("no"), "A service of the stack does not answer (ConnectError)."),
        (KafkaConnectionError("no"), "Kafka does not answer (KafkaConnectionError)."),
        (TimeoutError(), "PostgreSQL or Kafka does not answer (TimeoutError)."),
    ],
)
def test_a_part_that_is_not_there_is_named_without_a_traceback(
    error: Exception, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken() -> None:
        raise error

    monkeypatch.setattr(cli, "build", lambda _: broken)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 1
    assert said in capsys.readouterr().err
