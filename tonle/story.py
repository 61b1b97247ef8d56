"""`tonle household show`: one household's whole story, told by all services, in the order it happened."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Annotated

import httpx
import typer
from pydantic import BaseModel, ConfigDict, TypeAdapter

from tonle import terminal
from tonle.terminal import group

SERVICES = ("registration", "eligibility", "payments", "notifications")


class Step(BaseModel):
    """One thing that happened, as a service tells it."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    service: str
    what: str
    trace_id: str | None = None
    detail: dict[str, object] = {}


_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-|[0-9a-f]{32}")
_STEPS = TypeAdapter(list[Step])


def merge(stories: Iterable[Sequence[Step]]) -> list[Step]:
    """All stories as one, by time; what happened at once stays in the order of the flow."""
    return sorted((step for story in stories for step in story), key=lambda step: step.at)


def read(client: Callable[[str], httpx.Client], household_id: str) -> list[Step]:
    """What all services tell of a household; empty where nobody knows it. `client` gives a service's."""
    with ThreadPoolExecutor(len(SERVICES)) as asked:  # a busy service does not keep the next one waiting
        return merge(asked.map(lambda service: _told(client, service, household_id), SERVICES))


def trace_ids(steps: Iterable[Step]) -> list[str]:
    """The traces the story belongs to, the first first."""
    return list(dict.fromkeys(step.trace_id for step in steps if step.trace_id))


def lines(steps: Sequence[Step]) -> list[str]:
    """One line a step: when (UTC), who, what, and what else there is to say."""
    return [
        f"{step.at.astimezone(UTC):%Y-%m-%d} {_clock(step)}  {_said(step, step.detail)}" for step in steps
    ]


def brief(steps: Sequence[Step]) -> list[str]:
    """The same in fewer words: without the day and without ids."""
    return [
        f"{_clock(step)}  {_said(step, {n: v for n, v in step.detail.items() if not _ID.search(str(v))})}"
        for step in steps
    ]


def mount(app: typer.Typer) -> None:
    """Add `tonle household show`."""
    households = group(app, "household", "One household: its story, revise it, let it exit.")
    households.command("show")(show)


def show(
    household: Annotated[str, typer.Argument(help="The household's id, or the reference of its file.")],
    as_json: Annotated[bool, typer.Option("--json", help="Answer with one JSON object.")] = False,
) -> None:
    """Tell a household's whole story: registered, scored, paid, told, with the trace id.

    Each service tells its own part. Follow the trace id through `traces/*.jsonl` in the data folder, or in
    the telemetry system that the services send to.
    """
    steps: list[Step] = []
    household_id = household
    for household_id in _ids(household):
        steps = read(terminal.client, household_id)
        if steps:
            break
    if not steps:
        terminal.fail(
            f"No service knows a household {household}.",
            "Check the id, or import its file; rows that were refused are in `tonle quarantine list`.",
        )
    if as_json:
        story = [step.model_dump(mode="json") for step in steps]
        terminal.emit({"household_id": household_id, "traces": trace_ids(steps), "story": story}, True)
        return
    typer.echo(f"household {household_id}")
    for line in lines(steps):
        typer.echo(line)
    for trace in trace_ids(steps):
        typer.echo(f"trace {trace}")


def _ids(household: str) -> Iterator[str]:
    yield household
    with terminal.client("registration") as http:
        answer = http.get("/households", params={"reference": household})
    if answer.is_success:
        yield answer.json()["household_id"]


def _told(client: Callable[[str], httpx.Client], service: str, household_id: str) -> list[Step]:
    with client(service) as http:
        answer = http.get(f"/households/{household_id}/story")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return []
    return _STEPS.validate_python(terminal.checked(answer).json())


def _clock(step: Step) -> str:
    at = step.at.astimezone(UTC)
    return f"{at:%H:%M:%S}.{at.microsecond // 1000:03d}"


def _said(step: Step, detail: Mapping[str, object]) -> str:
    said = [f"{name.replace('_', ' ')} {value}" for name, value in detail.items() if value is not None]
    beside = f" ({', '.join(said)})" if said else ""
    return f"{step.service:13}  {step.what}{beside}"
