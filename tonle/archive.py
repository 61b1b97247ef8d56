"""`tonle archive`: the event log as Parquet files, which DuckDB, Spark and Trino read alike."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from tonle import terminal
from tonle.archiving import writing
from tonle.archiving.layout import ArchiveRefused
from tonle.stack.postgres import AUDITOR
from tonle.stack.topics import flow

ARCHIVE = "archive"
"""The archive's folder below the data folder, where no other is named."""


def mount(app: typer.Typer) -> None:
    """Add the group."""
    terminal.group(app, "archive", "The event log as Parquet files.").command()(write)


def write(
    folder: Annotated[
        Path | None,
        typer.Argument(
            help="The archive's folder; made where it is not there.",
            show_default="archive in the data folder",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Answer in JSON.")] = False,
) -> None:
    """Bring an archive up to date: every event of every topic, as Parquet files by topic and partition.

    Only what the archive lacks is read, as the auditor, and nothing is written to Kafka. Stop it when you
    like and run it again. Persons stay sealed in it, and the topic of keys is never archived: so destroying a
    household's keys erases it from every archive, too. docs/archive.md says how the files lie.
    """
    stack = terminal.running_stack()
    names = [topic.name for topic in flow() if not topic.compacted]
    broker = stack.kafka.broker(AUDITOR)
    try:
        with terminal.progress("Archiving") as advance:
            added = asyncio.run(
                writing.write(
                    folder or stack.data_dir / ARCHIVE,
                    broker,
                    stack.topic_prefix,
                    names,
                    lambda topic, done: advance(done, topic),
                )
            )
    except ArchiveRefused as refused:
        terminal.fail(refused.message, refused.remedy)
    rows = [{"topic": topic, "records_added": records} for topic, records in added.items()]
    terminal.emit(rows, as_json)
