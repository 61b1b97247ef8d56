"""What notifications does with each message."""

from collections.abc import Sequence
from functools import partial

from contracts.household import HouseholdKey, KeyPurpose
from contracts.payment import PaymentIssued
from contracts.wire import Received, Record, mentions
from postbox import parking
from postbox.message import Batch, Connection
from services.notifications import sms, store
from vault import keyring
from vault.keyring import WrappedKey
from vault.master import MasterKey

OF_PAYEES = mentions(KeyPurpose.PAYEE)
"""Which keys are wanted: those of payees, the only ones that are opened here."""


async def keep_keys(batch: Batch[Received[HouseholdKey]], db: Connection) -> Sequence[Record]:
    """Keep the wrapped keys of payees, and try again what waited for them."""
    keys = [
        WrappedKey(k.household_id, k.key_id, k.purpose, k.state, k.master_key_id, k.wrapped)
        for k in (message.data for message in batch.messages)
        if k.purpose is KeyPurpose.PAYEE
    ]
    await parking.retry_now(db, await keyring.keep(db, keys))
    return ()


async def tell_payment(
    master: MasterKey, senders: Sequence[str], batch: Batch[Received[PaymentIssued]], db: Connection
) -> Sequence[Record]:
    """Queue one SMS for each payment; the jobs that send take it from there."""
    told = await store.told(db, batch.keys)
    keys = await keyring.load(db, master, (message.data.payee.key_id for message in batch.messages))
    changed = batch.fold(told, partial(sms.tell, keys))
    await store.add(db, [new for household in changed for new in household.new])
    batch.wakes.update(senders)
    return ()
