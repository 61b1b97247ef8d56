"""`tonle <noun> <verb>`: mounts each module's commands, and knows no more."""

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import httpx
import typer

from tonle import terminal

# Which modules bring which commands, in the order of `tonle --help`. Each module has `mount(app)`.
COMMANDS: dict[str, tuple[str, ...]] = {
    "up": ("tonle.stack.cli",),
    "down": ("tonle.stack.cli",),
    "status": ("tonle.stack.cli",),
    "demo": ("tonle.demo",),
    "check": ("tonle.check",),
    "topics": ("tonle.monitor",),
    "archive": ("tonle.archive",),
    "generate": ("tonle.generate",),
    "import": ("services.registration.cli",),
    "household": ("services.registration.cli", "tonle.story"),
    "quarantine": ("services.registration.cli",),
    "duplicates": ("services.registration.cli_duplicates",),
    "grievances": ("services.registration.cli_grievances",),
    "registrars": ("services.registration.cli",),
    "programmes": ("services.eligibility.cli",),
    "scorecards": ("services.eligibility.cli_scorecards",),
    "conditions": ("services.registration.cli_conditions",),
    "referrals": ("services.eligibility.cli_referrals",),
    "calendar": ("services.eligibility.cli_life",),
    "appeals": ("services.eligibility.cli_life",),
    "shock": ("services.eligibility.cli_shocks",),
    "recompute": ("tonle.recompute",),
    "coverage": ("tonle.coverage",),
    "simulate": ("tonle.simulate",),
    "cycles": ("services.payments.cli", "services.payments.cli_payrolls"),
    "holds": ("services.payments.cli_holds",),
    "ledger": ("services.payments.cli_ledger",),
    "corrections": ("services.payments.cli_corrections",),
    "payees": ("services.payments.cli_payees",),
    "payrolls": ("services.payments.cli_payrolls",),
    "payments": ("services.payments.cli_payments",),
    "officers": ("services.payments.cli",),
    "partners": ("services.payments.cli_partners", "services.payments.cli_reconcile"),
    "reconcile": ("services.payments.cli_reconcile",),
    "inbox": ("services.notifications.cli",),
    "sms": ("services.notifications.cli_sms",),
    "notices": ("tonle.notices",),
    "protection": ("services.notifications.cli_protection",),
    "dead-letters": ("tonle.dead_letters",),
    "recover": ("tonle.recover",),
}

_ABOUT = """A cash-transfer system on one machine: households register, are scored, are paid and are told.

Start with `tonle demo`, or with `tonle up` and `tonle import FILE`.
"""


def build(arguments: Sequence[str]) -> typer.Typer:
    """The application with the command named in `arguments`; with all of them when none is named."""
    app = typer.Typer(
        help=_ABOUT, no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False
    )
    app.callback()(_global_options)
    named = COMMANDS.get(first_word(arguments))
    modules = named or tuple(dict.fromkeys(module for each in COMMANDS.values() for module in each))
    for name in modules:
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if named:
                terminal.fail(
                    f"This command needs {error.name}, which is not installed.", "Run `make install`."
                )
            continue
        module.mount(app)
    return app


def main() -> None:
    """What the script `tonle` runs."""
    try:
        build(sys.argv[1:])()
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
    except Exception as error:
        silent = _silent(error)
        if silent is None:
            raise
        _failed(f"{silent} does not answer ({type(error).__name__}).")


def _global_options(
    data_dir: Annotated[
        Path | None,
        typer.Option(
            envvar=terminal.HOME_VARIABLE,
            help="The stack's data folder.",
            show_default=str(terminal.DEFAULT_HOME),
        ),
    ] = None,
) -> None:
    if data_dir is not None:
        os.environ[terminal.HOME_VARIABLE] = str(data_dir.absolute())


def first_word(arguments: Sequence[str]) -> str:
    """The command that a command line names; empty when it names none."""
    words = iter(arguments)
    for word in words:
        if word == "--data-dir":
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""


def _silent(error: Exception) -> str | None:
    """The part of the stack that an error says is not there; None for any other error."""
    if isinstance(error, httpx.TransportError):
        return "A service of the stack"
    if type(error).__module__.partition(".")[0] == "aiokafka":
        return "Kafka"
    return "PostgreSQL or Kafka" if isinstance(error, (ConnectionError, TimeoutError)) else None


def _failed(message: str) -> None:
    try:
        terminal.fail(message, "See what runs with `tonle status`; it is started again if it died.")
    except typer.Exit as stop:
        sys.exit(stop.exit_code)
