"""Eligibility as a process: its settings, its programmes, what it listens to, and what it works with."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from contracts import topics, wire
from contracts.model import Contract
from contracts.topics import Topic
from postbox.message import Handler, Subscription
from postbox.service import Job, Service, ServiceSettings, run
from services.eligibility import calendar, completing, handlers, jobs, library, packages, programmes, striking
from services.eligibility.handlers import Office
from services.eligibility.milestones import Notice
from services.eligibility.packages import Panel
from services.eligibility.programmes import Programme
from services.eligibility.routes import router
from vault import keyring
from vault.master import MasterKey

FOLDER = Path(__file__).parent
MIGRATIONS = [keyring.MIGRATIONS, FOLDER / "migrations"]


class EligibilitySettings(ServiceSettings):
    """`programmes`: the folder of programme files; those shipped when not set.

    Cards are announced `card_notice_days` before they run out, registrations are due anew after
    `recertification_days`.
    """

    master_key_file: Path
    programmes: Path = FOLDER / "programmes"
    card_notice_days: int = 30
    recertification_days: int = 1095


def read_programmes(folder: Path) -> Mapping[str, Programme]:
    """The programmes of a folder, by id, each with its worked examples checked.

    Raises `FileRefused`.
    """
    found = programmes.catalogue({path.name: path.read_bytes() for path in sorted(folder.glob("*.yaml"))})
    packages.check_examples(Panel(found))
    return found


def service(settings: EligibilitySettings) -> Service:
    """The service, not started yet."""
    known = read_programmes(settings.programmes)
    master = MasterKey.from_file(settings.master_key_file)
    notice = Notice(settings.card_notice_days, settings.recertification_days)
    office = Office(master, Panel(known), library.scorecards(FOLDER / "scorecards"), notice)
    return Service(
        "eligibility",
        settings,
        # Cycles first: a batch that brings both takes their lock alone before it shares it.
        subscriptions=[
            _listen(topics.HOUSEHOLD_KEY, handlers.keep_keys),
            _listen(topics.CYCLE_CHANGED, handlers.open_cycle),
            _listen(topics.HOUSEHOLD_REGISTERED, partial(handlers.score, office)),
            _listen(topics.HOUSEHOLD_EXITED, handlers.leave),
            _listen(topics.CONDITION_REPORTED, partial(handlers.report, office)),
        ],
        router=router,
        jobs=[
            Job(striking.SHOCKS, partial(striking.run, office)),
            Job("caseload", partial(jobs.score_caseload, office)),
            Job(calendar.CALENDAR, partial(calendar.run, office), 60.0),
            Job(completing.COMPLETE, completing.tell_completed),
            Job("coverage", partial(jobs.count_coverage, office)),
        ],
        migrations=MIGRATIONS,
        prepare=partial(library.keep, office),
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
