"""One function per message: load, decide, save, and say what was decided."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from contracts.condition import ConditionReported
from contracts.cycle import CycleChanged
from contracts.household import HouseholdExited, HouseholdKeys, HouseholdRegistered
from contracts.sealed import Sealed
from contracts.wire import Received, Record
from postbox import parking
from postbox.message import Batch, Connection
from services.eligibility import cycles, events, households, store, store_told
from services.eligibility.grounds import Open
from services.eligibility.households import Desk, Household
from services.eligibility.milestones import Notice
from services.eligibility.ministries import Ministries
from services.eligibility.packages import Panel
from services.eligibility.programmes import Programme
from services.eligibility.referrals import Services
from services.eligibility.referring import Referrer
from services.eligibility.scorecards import Scorecard
from services.eligibility.store import Terms
from vault import keyring
from vault.keyring import WrappedKey
from vault.master import MasterKey
from vault.sealing import KeyDestroyed, Keys


@dataclass(frozen=True)
class Office:
    """What eligibility works with: programmes, scorecards, and the key that opens what is sealed.

    `ministries` can be written to, of `services`; without one, services are offered and nobody is told.
    """

    master: MasterKey
    panel: Panel
    scorecards: Mapping[str, Scorecard]
    notice: Notice = field(default_factory=Notice)
    services: Services = field(default_factory=Services)
    ministries: Ministries | None = None

    @property
    def programmes(self) -> Collection[Programme]:
        """All of them, drafts included."""
        return self.panel.programmes.values()

    def desk(self, terms: Terms, keys: Keys) -> Desk:
        """Scores under these terms what these keys open."""
        referrer = Referrer(self.services, keys.mark)
        return Desk(self.panel, terms.cycles, opener(keys), self.notice, terms.shocks, referrer)

    def told(self, changed: Sequence[Household], keys: Keys, now: datetime) -> list[Record]:
        """What was decided of households, and what their ministries are told."""
        return [*events.of_households(changed, keys, now), *self.letters(changed, now)]

    def letters(self, changed: Sequence[Household], now: datetime) -> list[Record]:
        """What ministries are told of households, in order, under one key agreement with each of them."""
        told = [letter for each in changed for letter in each.letters]
        if not told:
            return []
        assert self.ministries is not None
        mailing = self.ministries.mailing()
        return [mailing.record(letter, now) for letter in told]


async def keep_keys(batch: Batch[Received[HouseholdKeys]], db: Connection) -> Sequence[Record]:
    """Keep wrapped keys, and try again what waited for them."""
    changed = await keyring.keep(
        db,
        [
            WrappedKey(said.household_id, key.key_id, key.purpose, key.state, key.master_key_id, key.wrapped)
            for said in (each.data for each in batch.messages)
            for key in said.keys
        ],
    )
    await parking.retry_now(db, changed)
    return ()


async def score(
    office: Office, batch: Batch[Received[HouseholdRegistered]], db: Connection
) -> Sequence[Record]:
    """Take in revisions: each newer one is scored by every programme, and told."""
    terms = await store.terms_for_scoring(db)
    sealed = [part for each in batch.messages for part in (each.data.persons, each.data.payee)]
    keys = await keyring.load(db, office.master, (part.key_id for part in sealed))
    before = await store.load(db, batch.keys)
    changed = batch.fold(before, partial(households.register, office.desk(terms, keys)))
    await store.save(db, changed, batch.now)
    return office.told(changed, keys, batch.now)


async def report(
    office: Office, batch: Batch[Received[ConditionReported]], db: Connection
) -> Sequence[Record]:
    """Take in condition reports: each household is scored by what is reported of it by now."""
    terms = await store.terms_for_scoring(db)
    found = await store.load(db, batch.keys)
    before = await store_told.with_registrations(db, list(found.values()))
    kept = [each.kept for each in before.values() if each.kept is not None]
    sealed = [each.data.report for each in batch.messages]
    sealed += [part for each in kept for part in (each.persons, each.payee)]
    keys = await keyring.load(db, office.master, (part.key_id for part in sealed))
    changed = batch.fold(before, partial(households.report, office.desk(terms, keys)))
    await store.save(db, changed, batch.now)
    return office.told(changed, keys, batch.now)


async def leave(office: Office, batch: Batch[Received[HouseholdExited]], db: Connection) -> Sequence[Record]:
    """Take in exits: these households are scored no more, unless they are registered again."""
    leaving = partial(households.leave, office.services.recipients)
    changed = batch.fold(await store.load(db, batch.keys), leaving)
    await store.save(db, changed, batch.now)
    return office.letters(changed, batch.now)


async def open_cycle(batch: Batch[Received[CycleChanged]], db: Connection) -> Sequence[Record]:
    """Take in cycles; where one opened or ended, the households it concerns are scored again by a job."""
    before = await store.cycles_for_change(db)
    changed = batch.fold(before, cycles.take)
    caseloads = [cycles.caseload(before.get(each.cycle_id), each) for each in changed]
    await store.save_cycles(db, changed)
    await store.add_caseloads(db, [each for each in caseloads if each is not None], batch.now)
    return ()


def opener(keys: Keys) -> Open:
    """Opens what households' keys sealed."""

    def open_sealed(sealed: Sealed, event_id: str, event_type: str) -> bytes | None:
        try:
            return keys.open(sealed.key_id, sealed.blob, event_id=event_id, event_type=event_type)
        except KeyDestroyed:
            return None

    return open_sealed
