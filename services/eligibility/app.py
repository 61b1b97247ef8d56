"""Eligibility as a process: its settings, its programmes, what it listens to, and what it works with."""

from functools import partial
from pathlib import Path

from pydantic import Field

from contracts import topics, versions
from contracts.topics import Topic
from postbox.message import Handler, Subscription
from postbox.service import Job, Service, ServiceSettings, run
from services.eligibility import calendar, completing, handlers, jobs, library, striking
from services.eligibility.handlers import Office
from services.eligibility.milestones import Notice
from services.eligibility.packages import Panel
from services.eligibility.poverty import SCORECARD, Poverty
from services.eligibility.routes import router
from vault import keyring
from vault.master import MasterKey

FOLDER = Path(__file__).parent
MIGRATIONS = [keyring.MIGRATIONS, FOLDER / "migrations"]
read_programmes = library.read_programmes


class EligibilitySettings(ServiceSettings):
    """`programmes`, `referrals`: the folders of programme and of service files; those shipped when not set.

    `ministries`: by name, the file of its public key (JWK, X25519); what we write to them is signed by
    `signing_key_file` (JWK, Ed25519). Services of a ministry without a key are offered, and nobody is told.

    Cards are announced `card_notice_days` before they run out, registrations are due anew after
    `recertification_days`.
    """

    master_key_file: Path
    programmes: Path = FOLDER / "programmes"
    referrals: Path = FOLDER / "referrals"
    ministries: dict[str, Path] = Field(default_factory=dict)
    signing_key_file: Path | None = None
    card_notice_days: int = 30
    recertification_days: int = 1095


def office_of(settings: EligibilitySettings) -> Office:
    """Files are read and checked once, and keys. Raises `FileRefused`, `ValueError` for another key."""
    scorecards = library.scorecards(FOLDER / "scorecards")
    poverty = Poverty(scorecards[SCORECARD])
    return Office(
        MasterKey.from_file(settings.master_key_file),
        Panel(read_programmes(settings.programmes), poverty),
        scorecards,
        Notice(settings.card_notice_days, settings.recertification_days),
        library.services(settings.referrals, frozenset(settings.ministries), poverty),
        library.ministries(settings.signing_key_file, settings.ministries),
    )


def service(settings: EligibilitySettings) -> Service:
    """The service, not started yet."""
    office = office_of(settings)
    return Service(
        "eligibility",
        settings,
        # Cycles first: a batch that brings both takes their lock alone before it shares it.
        subscriptions=[
            *(_listen(topic, handlers.keep_keys) for topic in (topics.HOUSEHOLD_KEYS, topics.HOUSEHOLD_KEY)),
            _listen(topics.CYCLE_CHANGED, handlers.open_cycle),
            _listen(topics.HOUSEHOLD_REGISTERED, partial(handlers.score, office)),
            _listen(topics.HOUSEHOLD_EXITED, partial(handlers.leave, office)),
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
    decode, decode_all = versions.decoders(topic)
    said, table = (topic.name, decode, handler, topic.contract), topic.compacted
    return Subscription(*said, holds=not table, compacted=table, decode_all=decode_all)


if __name__ == "__main__":
    run(service(EligibilitySettings()))
