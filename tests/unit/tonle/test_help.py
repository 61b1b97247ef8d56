"""The command line teaches: every command has its help."""

import pytest
from typer.testing import CliRunner

from tonle import cli


@pytest.mark.parametrize("words", [[], *([command] for command in cli.COMMANDS)])
def test_every_command_has_its_help(words: list[str]) -> None:
    answer = CliRunner().invoke(cli.build(words), [*words, "--help"])
    assert answer.exit_code == 0, answer.exception
    assert "Usage:" in answer.output
