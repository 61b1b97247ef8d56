"""Eligibility as a process: its settings, its programmes, what it listens to, and what it works with."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from fastapi import APIRouter

from contracts import topics, wire
from contracts.model import Contract
from contracts.topics import Topic
from postbox.message import Handler, Subscription
from postbox.service import Job, Service, ServiceSettings, run
from services.eligibility import (
    api,
    api_coverage,
    api_explanations,
    api_scorecards,
    handlers,
    jobs,
    packages,
    programmes,
)
from services.eligibility.handlers import Office
from services.eligibility.packages import Panel
from services.eligibility.programmes import Programme
from services.eligibility.scorecards import Scorecard, catalogue
from vault import keyring
from vault.master import MasterKey

FOLDER = Path(__file__).parent
MIGRATIONS = [keyring.MIGRATIONS, FOLDER / "migrations"]


class EligibilitySettings(ServiceSettings):
    """`programmes`: the folder of programme files; those shipped when not set."""

    master_key_file: Path
    programmes: Path = FOLDER / "programmes"


def read_programmes(folder: Path) -> Mapping[str, Programme]:
    """The programmes of a folder, by id, each with its worked examples checked.

    Raises `ProgrammeRefused`.
    """
    found = programmes.catalogue({path.name: path.read_bytes() for path in sorted(folder.glob("*.yaml"))})
    packages.check_examples(Panel(found))
    return found


def read_scorecards() -> Mapping[str, Scorecard]:
    """The scorecards shipped, by id. Raises `ScorecardRefused`."""
    folder = FOLDER / "scorecards"
    return catalogue({path.name: path.read_bytes() for path in sorted(folder.iterdir())})


def service(settings: EligibilitySettings) -> Service:
    """The service, not started yet."""
    known = read_programmes(settings.programmes)
    master = MasterKey.from_file(settings.master_key_file)
    office = Office(master, Panel(known), read_scorecards())
    router = APIRouter()
    for part in (api, api_scorecards, api_coverage, api_explanations):
        router.include_router(part.router)
    return Service(
        "eligibility",
        settings,
        # Cycles first: a batch that brings both takes their lock alone before it shares it.
        subscriptions=[
            _listen(topics.HOUSEHOLD_KEY, handlers.keep_keys),
            _listen(topics.CYCLE_CHANGED, handlers.open_cycle),
            _listen(topics.HOUSEHOLD_REGISTERED, partial(handlers.score, office)),
            _listen(topics.HOUSEHOLD_EXITED, handlers.leave),
        ],
        router=router,
        jobs=[
            Job("caseload", partial(jobs.score_caseload, office)),
            Job("coverage", partial(jobs.count_coverage, office)),
        ],
        migrations=MIGRATIONS,
        state=office,
    )


def _listen(topic: Topic, handler: Handler) -> Subscription:
    decode = partial(_decode, topic.contract)
    holds = not topic.compacted
    return Subscription(topic.name, decode, handler, topic.contract, holds=holds, compacted=topic.compacted)


def _decode(
    contract: type[Contract], topic: str, key: bytes | None, value: bytes | None, headers: wire.Headers
) -> wire.Received[Contract]:
    return wire.decode(contract, topic, key, value, headers)


if __name__ == "__main__":
    run(service(EligibilitySettings()))
