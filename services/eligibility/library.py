"""The library: every programme file that ever decided, by its hash, for whoever decides again."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path

from postbox.service import Service
from services.eligibility import store_library
from services.eligibility.handlers import Office
from services.eligibility.packages import Panel
from services.eligibility.programmes import Programme, parse
from services.eligibility.reading import FileRefused
from services.eligibility.scorecards import Scorecard, catalogue
from services.eligibility.store_library import Archived


async def keep(office: Office, service: Service) -> None:
    """Keep the programmes in use under their hashes, before any of them decides.

    Raises `FileRefused` where a file that decided already was changed and does not say so.
    """
    async with service.db.acquire() as db, db.transaction():
        archived = await store_library.archived(db)
        changed = [each for each in office.programmes if _was_changed(each, archived.get(each.id, ()))]
        used = [
            each for each in changed if await store_library.has_decided(db, each.id, each.document.sensitive)
        ]
        if used:
            raise FileRefused("\n".join(refusal(each, archived[each.id][-1]) for each in used))
        await store_library.add(db, office.panel, datetime.now(UTC))


def _was_changed(programme: Programme, archived: Iterable[Archived]) -> bool:
    hashes = {each.hash for each in archived}
    return bool(hashes) and programme.hash not in hashes and programme.document.replaces not in hashes


def refusal(programme: Programme, before: Archived) -> str:
    """File, first line that differs, and remedy."""
    lines = zip_longest(programme.content.splitlines(), before.content.splitlines())
    line = next((at for at, (new, old) in enumerate(lines, 1) if new != old), 1)
    return (
        f"{programme.id}.yaml:{line}: the file changed after it decided as {before.hash}; restore it "
        f"(`tonle programmes file {before.hash}`), or let decisions change: write `replaces: {before.hash}`"
    )


def panel_of(files: Mapping[str, bytes]) -> Panel:
    """The programmes of a catalogue, by the names and bytes of their files; examples are not run again."""
    found = [parse(name, content) for name, content in sorted(files.items())]
    return Panel({each.id: each for each in found})


def scorecards(folder: Path) -> Mapping[str, Scorecard]:
    """The scorecards of a folder, by id. Raises `ScorecardRefused`."""
    return catalogue({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
