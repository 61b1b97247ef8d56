"""The library: every programme file that ever decided, by its hash, for whoever decides again."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path

from postbox.service import Service
from services.eligibility import packages, programmes, referral_files, referrals, store_library
from services.eligibility.handlers import Office
from services.eligibility.ministries import Ministries
from services.eligibility.packages import Panel
from services.eligibility.poverty import Poverty
from services.eligibility.programmes import Programme, parse
from services.eligibility.reading import FileRefused
from services.eligibility.referrals import Services
from services.eligibility.scorecards import Scorecard, catalogue
from services.eligibility.store_library import Archived
from vault import jose


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


def panel_of(files: Mapping[str, bytes], poverty: Poverty | None) -> Panel:
    """The programmes of a catalogue, by the names and bytes of their files; examples are not run again."""
    found = [parse(name, content) for name, content in sorted(files.items())]
    return Panel({each.id: each for each in found}, poverty)


def read_programmes(folder: Path) -> Mapping[str, Programme]:
    """The programmes of a folder, by id, each with its worked examples checked. Raises `FileRefused`."""
    found = programmes.catalogue({path.name: path.read_bytes() for path in sorted(folder.glob("*.yaml"))})
    packages.check_examples(Panel(found))
    return found


def services(folder: Path, recipients: frozenset[str], poverty: Poverty) -> Services:
    """The services of a folder, each with its worked examples checked. Raises `FileRefused`."""
    found = referral_files.catalogue({path.name: path.read_bytes() for path in folder.glob("*.yaml")})
    referrals.check_examples(found.values())
    return Services(found, recipients, poverty)


def ministries(signing_key: Path | None, keys: Mapping[str, Path]) -> Ministries | None:
    """Who can be written to, by name and key file; nobody where there is no key to sign with.

    Raises `ValueError` for a key of another kind.
    """
    if signing_key is None:
        if keys:
            raise ValueError("ministries are written to with a signature: set TONLE_SIGNING_KEY_FILE, too")
        return None
    encrypt_to = {name: jose.read_key(path, "X25519") for name, path in keys.items()}
    return Ministries(jose.read_key(signing_key, "Ed25519"), encrypt_to)


def scorecards(folder: Path) -> Mapping[str, Scorecard]:
    """The scorecards of a folder, by id. Raises `ScorecardRefused`."""
    return catalogue({path.name: path.read_bytes() for path in sorted(folder.iterdir())})
