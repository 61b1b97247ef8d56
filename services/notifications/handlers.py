"""What notifications does with each message."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from contracts.household import HouseholdKeys, KeyPurpose, KeyState
from contracts.milestone import MilestoneReached
from contracts.wire import M, Received, Record
from postbox import parking
from postbox.message import Batch, Connection
from services.notifications import store, store_contacts, store_messages, store_payments, telling
from services.notifications.heard import HouseholdHeard, IssuedHeard, ScoredHeard, UpdatedHeard
from services.notifications.numbers import number_hash
from services.notifications.sms import NewSms
from services.notifications.telling import Policy
from vault import keyring
from vault.keyring import WrappedKey
from vault.master import MasterKey


async def keep_keys(batch: Batch[Received[HouseholdKeys]], db: Connection) -> Sequence[Record]:
    """Keep the wrapped keys of payees, forget whose are destroyed, and try again what waited for them."""
    keys = [
        WrappedKey(said.household_id, key.key_id, key.purpose, key.state, key.master_key_id, key.wrapped)
        for said in (each.data for each in batch.messages)
        for key in said.keys
        if key.purpose is KeyPurpose.PAYEE
    ]
    await parking.retry_now(db, await keyring.keep(db, keys))
    if destroyed := {key.household_id: key.key_id for key in keys if key.state == KeyState.DESTROYED}:
        await store_contacts.forget(db, destroyed)
        await store_messages.forget(db, destroyed)
    return ()


@dataclass(frozen=True)
class Desk:
    """What telling needs: the key of keys, which steps are told, and who sends."""

    master: MasterKey
    policy: Policy
    senders: Sequence[str]

    async def hear_of_household(
        self, batch: Batch[Received[HouseholdHeard]], db: Connection
    ) -> Sequence[Record]:
        """Keep whom to tell, and tell who was registered at an office."""
        known = await store_contacts.contacts(db, batch.keys)
        keys = await keyring.load(db, self.master, (m.data.payee.key_id for m in batch.messages))
        hash_of = partial(number_hash, self.master)
        changed = batch.fold(known, partial(telling.register, self.policy, keys, hash_of))
        await store_contacts.keep_contacts(db, changed)
        return await self._add(batch, db, [new for each in changed for new in each.new])

    def is_wanted(self, _: bytes) -> bool:
        """Whether a decision is read: not where nobody is told how they stand."""
        return self.policy.tells_standings

    async def hear_of_standing(self, batch: Batch[Received[ScoredHeard]], db: Connection) -> Sequence[Record]:
        """Tell a household when its standing changes."""
        known = await store_contacts.standings(db, batch.keys)
        sealed = {m.data.sensitive.key_id for m in batch.messages if m.data.sensitive}
        keys = await keyring.load(db, self.master, sealed)
        changed = batch.fold(known, partial(telling.stand, self.policy, keys))
        await store_contacts.keep_standings(db, changed)
        return await self._add(batch, db, [new for each in changed for new in each.new])

    async def hear_of_payment(self, batch: Batch[Received[IssuedHeard]], db: Connection) -> Sequence[Record]:
        """Keep what a payment is; it is told once its partner has accepted it."""
        known = await store_payments.load(db, {m.data.payment_id for m in batch.messages})
        await store_payments.keep_issued(db, batch.fold(known, telling.issue))
        return ()

    async def tell_payment(self, batch: Batch[Received[UpdatedHeard]], db: Connection) -> Sequence[Record]:
        """Tell what became of a payment: ready, paid, failed, expired."""
        known = await store_payments.load(db, {m.data.payment_id for m in batch.messages})
        changed = batch.fold(known, partial(telling.update, self.policy))
        await store_payments.keep_updated(db, changed)
        return await self._add(batch, db, [new for each in changed for new in each.new])

    async def tell_milestone(
        self, batch: Batch[Received[MilestoneReached]], db: Connection
    ) -> Sequence[Record]:
        """Tell what a household must do by a day: its card ends, or it should be registered anew."""
        new = batch.fold({}, lambda _, event: telling.reach(self.policy, event))
        return await self._add(batch, db, new)

    async def _add(
        self, batch: Batch[Received[M]], db: Connection, new: Sequence[NewSms]
    ) -> Sequence[Record]:
        """Queue SMS; the jobs that send take them from there."""
        await store.add(db, new)
        if new:
            # One takes them all, in larger chunks; while there is more than it can carry the others help.
            batch.wakes.update(self.senders[:1])
        return ()
