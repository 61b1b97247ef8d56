"""`stack.json`: what runs, where, and since when; written by the supervisor, read by every command."""

import os
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ValidationError

from postbox.broker import Broker
from tonle.stack.errors import StackError
from tonle.stack.process import Identity

PartCondition = Literal["stopped", "starting", "running", "restarting", "ended"]
StackCondition = Literal["starting", "running", "stopping", "stopped", "failed"]


class Part(BaseModel):
    """One process of the stack. `restarts` counts how often it died and was started again."""

    state: PartCondition = "stopped"
    pid: int | None = None
    started: float | None = None
    command: tuple[str, ...] = ()
    port: int
    restarts: int = 0
    last_error: str | None = None
    log: Path

    @property
    def identity(self) -> Identity | None:
        """Which process it is, for checking before anything is ended."""
        if self.pid is None or self.started is None:
            return None
        return Identity(self.pid, self.started, self.command)


class KafkaPart(Part):
    """Kafka: what clients connect to, and per user the file with its password."""

    bootstrap: str
    password_files: dict[str, Path] = {}

    def broker(self, user: str) -> Broker:
        """How a user reaches it."""
        return Broker(self.bootstrap, user, self.password_files[user])


class PostgresPart(Part):
    """PostgreSQL: where, and one connection string per role (services, `auditor`, `postgres`)."""

    host: str = "127.0.0.1"
    dsn: dict[str, str]

    def passwordless(self) -> dict[str, str]:
        """The same without passwords: for processes, which find theirs in a PGPASSFILE."""
        return {role: f"postgresql://{role}@{self.host}:{self.port}/{role}" for role in self.dsn}


class WebPart(Part):
    """A service or a simulator: its base URL."""

    url: str


class StackState(BaseModel):
    """The whole stack. Holds passwords and tokens, so its file is its owner's alone."""

    state: StackCondition
    message: str | None = None
    remedy: str | None = None
    data_dir: Path
    topic_prefix: str
    partitions: int
    supervisor: Identity
    kafka: KafkaPart
    postgres: PostgresPart
    services: dict[str, WebPart]
    simulators: dict[str, WebPart]
    tokens: dict[str, str]

    def parts(self) -> dict[str, Part]:
        """Every process by name, in the order they are started."""
        return {"kafka": self.kafka, "postgres": self.postgres, **self.simulators, **self.services}

    def note_ended(self) -> None:
        """Mark parts whose process is gone: on a full disk the supervisor can't write what it sees."""
        for part in self.parts().values():
            identity = part.identity
            if part.state == "running" and identity is not None and not identity.alive():
                part.state = "ended"

    def runs(self) -> bool:
        """Whether its supervisor is alive; the file of a crashed one still says `running`."""
        return self.state not in ("stopped", "failed") and self.supervisor.alive()


def path(data_dir: Path) -> Path:
    """Where a stack's state is."""
    return data_dir / "stack.json"


def save(state: StackState) -> None:
    """Replace the file whole, so that a reader never sees half of it."""
    target = path(state.data_dir)
    draft = target.with_suffix(".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(state.model_dump_json(indent=1))
    draft.replace(target)


def load(data_dir: Path) -> StackState | None:
    """The last state written; None when there never was one. Raises `StackError` when it is unreadable."""
    try:
        return StackState.model_validate_json(path(data_dir).read_text())
    except FileNotFoundError:
        return None
    except (ValidationError, UnicodeDecodeError) as error:
        raise StackError(
            f"{path(data_dir)} cannot be read: it was written by another version or is damaged.",
            "Stop what still runs on that folder, remove the file, and run `tonle up`: the data stays.",
        ) from error
    except PermissionError as error:
        raise StackError(
            f"{path(data_dir)} belongs to another user.",
            "Run the command as the user who started that stack, or set TONLE_HOME to a folder of yours.",
        ) from error
