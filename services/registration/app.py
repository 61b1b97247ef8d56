"""The registration service, put together."""

from pathlib import Path

from fastapi import APIRouter

from contracts.topics import HOUSEHOLD_KEY
from postbox.service import Job, Service, ServiceSettings, run
from services.registration import api, api_conditions, api_duplicates, api_imports
from services.registration.gazetteer import load_gazetteer
from services.registration.importing import IMPORTING, Importer
from services.registration.office import Office
from services.registration.searching import SEARCHING, Means, Searcher
from vault import keyring
from vault.master import MasterKey

MIGRATIONS = Path(__file__).parent / "migrations"


class RegistrationSettings(ServiceSettings):
    """What registration is told beside what every service is."""

    master_key_file: Path
    import_chunk_rows: int = 500
    outbox_messages_most: int = 60_000
    upload_bytes_most: int = 4_000_000_000
    search_memory_mb: int = 1_500
    search_threads: int = 1
    search_chunk_persons: int = 250_000


def service(settings: RegistrationSettings) -> Service:
    """Registration consumes nothing: it answers HTTP and works through files."""
    spool = settings.data_dir / "spool"
    spool.mkdir(mode=0o700, parents=True, exist_ok=True)
    office = Office(
        master=MasterKey.from_file(settings.master_key_file),
        gazetteer=load_gazetteer(),
        spool=spool,
        chunk_rows=settings.import_chunk_rows,
        outbox_messages_most=settings.outbox_messages_most,
        upload_bytes_most=settings.upload_bytes_most,
    )
    means = Means(
        settings.data_dir / "search",
        settings.search_memory_mb,
        settings.search_threads,
        settings.search_chunk_persons,
    )
    router = APIRouter()
    for each in (api.router, api_imports.router, api_duplicates.router, api_conditions.router):
        router.include_router(each)
    return Service(
        "registration",
        settings,
        router=router,
        jobs=[
            Job(IMPORTING, Importer(office).run),
            Job(SEARCHING, Searcher(means).run, 5.0),
        ],
        migrations=[keyring.MIGRATIONS, MIGRATIONS],
        publish_first=[HOUSEHOLD_KEY.name],
        state=office,
    )


if __name__ == "__main__":
    run(service(RegistrationSettings()))
