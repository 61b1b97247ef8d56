"""The registration service, put together."""

from functools import partial
from pathlib import Path

import yaml
from fastapi import APIRouter
from holidays import country_holidays

from contracts import wire
from contracts.topics import HOUSEHOLD_KEYS, MESSAGE_RECEIVED, Topic
from postbox.message import Handler, Subscription
from postbox.service import Job, Service, ServiceSettings, run
from services.registration import api, api_conditions, api_duplicates, api_grievances, api_imports, handlers
from services.registration.complaints import Rulebook
from services.registration.escalating import ESCALATING, EVERY_S, Escalator
from services.registration.gazetteer import load_gazetteer
from services.registration.grievances import Calendar, Rules
from services.registration.importing import IMPORTING, Importer
from services.registration.office import Office
from services.registration.searching import SEARCHING, Means, Searcher
from vault import keyring
from vault.master import MasterKey

FOLDER = Path(__file__).parent
MIGRATIONS = FOLDER / "migrations"
SATURDAY = 5


class RegistrationSettings(ServiceSettings):
    """What registration is told beside what every service is.

    `batch_timeout_ms`: of complaints by SMS it hears seldom, and looking for them costs CPU each time.
    """

    batch_timeout_ms: int = 200
    master_key_file: Path
    import_chunk_rows: int = 500
    outbox_messages_most: int = 60_000
    upload_bytes_most: int = 4_000_000_000
    search_memory_mb: int = 1_500
    search_threads: int = 1
    search_chunk_persons: int = 250_000


def service(settings: RegistrationSettings) -> Service:
    """Registration answers HTTP, works through files, and hears of complaints that came by SMS."""
    spool = settings.data_dir / "spool"
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    office = Office(
        master=MasterKey.from_file(settings.master_key_file),
        gazetteer=load_gazetteer(),
        rulebook=rulebook(),
        spool=spool,
        chunk_rows=settings.import_chunk_rows,
        outbox_messages_most=settings.outbox_messages_most,
        upload_bytes_most=settings.upload_bytes_most,
    )
    search = settings.data_dir / "search"
    means = Means(search, settings.search_memory_mb, settings.search_threads, settings.search_chunk_persons)
    router = APIRouter()
    for each in (api, api_imports, api_duplicates, api_conditions, api_grievances):
        router.include_router(each.router)
    return Service(
        "registration",
        settings,
        subscriptions=[_listen(MESSAGE_RECEIVED, partial(handlers.open_grievances, office))],
        router=router,
        jobs=[
            Job(IMPORTING, Importer(office).run),
            Job(SEARCHING, Searcher(means).run, 5.0),
            Job(ESCALATING, Escalator(office.rulebook).run, EVERY_S),
        ],
        migrations=[keyring.MIGRATIONS, MIGRATIONS],
        publish_first=[HOUSEHOLD_KEYS.name],
        state=office,
    )


def _listen(topic: Topic, handler: Handler) -> Subscription:
    return Subscription(topic.name, partial(wire.decode, topic.contract), handler, topic.contract)


def rulebook() -> Rulebook:
    """The rules of grievances as shipped, and the days that are no holidays of the country they name."""
    rules = Rules.model_validate(yaml.safe_load((FOLDER / "grievances.yaml").read_text(encoding="utf-8")))
    holidays = country_holidays(rules.holidays)
    return Rulebook(rules, Calendar(lambda day: day.weekday() < SATURDAY and day not in holidays))


if __name__ == "__main__":
    run(service(RegistrationSettings()))
