"""What people are told of their complaint: its number, and what became of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from contracts import wire
from contracts.grievance import GrievanceOpened, GrievanceState, GrievanceUpdated
from contracts.wire import Received, Record
from postbox.message import Batch, Connection
from services.notifications import answers, store, store_messages, store_opt_outs
from services.notifications.answers import GRIEVANCE_OPENED, GRIEVANCE_UPDATED, Answer
from services.notifications.heard import Recipient
from services.notifications.manners import QuietHours
from services.notifications.numbers import number_hash
from services.notifications.sms import NewSms
from services.notifications.store_messages import Message, Sender
from services.notifications.wording import Facts, Wording
from vault import keyring
from vault.master import MasterKey
from vault.sealing import Keys

TOLD = frozenset(
    {GrievanceState.ACKNOWLEDGED, GrievanceState.RESOLVED, GrievanceState.REJECTED, GrievanceState.REOPENED}
)
"""What is told; who works on it, and closing it for good, is not."""
Grievance = GrievanceOpened | GrievanceUpdated


@dataclass(frozen=True)
class Complaints:
    """Tells who complained, at the number they wrote from, else at their household's; the words are neutral.

    Each event is told once, under an id made of it.
    """

    master: MasterKey
    wording: Wording
    quiet: QuietHours | None
    senders: Sequence[str]

    async def tell(self, batch: Batch[Received[Grievance]], db: Connection) -> Sequence[Record]:
        """Tell the numbers of new complaints, and what became of others."""
        told = [each for each in batch.messages if _template(each.data) is not None]
        written = await store_messages.find(db, [m.data.message_id for m in told if m.data.message_id])
        households = sorted({m.data.household_id for m in told if m.data.household_id})
        whose = await store_messages.senders(db, households)
        keys = await keyring.load(db, self.master, (each.key_id for each in whose.values()))
        addressed: list[tuple[Received[Grievance], str, str]] = []
        for index, each in enumerate(batch.messages):
            if _template(each.data) is None:
                continue
            try:
                found = self._to(
                    keys, written.get(each.data.message_id or ""), whose.get(each.data.household_id or "")
                )
            except Exception as error:
                batch.park(index, error)
                continue
            if found is not None:
                addressed.append((each, *found))
        silent = await store_opt_outs.silent(
            db, {number_hash(self.master, phone) for _, phone, _ in addressed}
        )
        new = [
            self._sms(each, phone, language, batch.now)
            for each, phone, language in addressed
            if number_hash(self.master, phone) not in silent
        ]
        await store.add(db, new)
        if new:
            batch.wakes.update(self.senders)
        return ()

    def _to(self, keys: Keys, written: Message | None, whose: Sender | None) -> tuple[str, str] | None:
        """Number and language; None for nobody. Raises what opening the payee raises."""
        if written is not None and (phone := answers.unseal(self.master, written.message_id, written.sender)):
            return phone, written.language
        who = answers.recipient(keys, whose) if whose else None
        if isinstance(who, Recipient) and who.phone:
            return who.phone, who.language
        return None

    def _sms(self, event: Received[Grievance], phone: str, language: str, now: datetime) -> NewSms:
        said = event.data
        state = said.state.value if isinstance(said, GrievanceUpdated) else None
        until = self.quiet.over_at(now) if self.quiet else None
        facts = Facts(number=said.number, state=state)
        answer = Answer(phone, _template(said) or "", language, facts, until)
        return answers.make(self.master, self.wording, answer, wire.uuid5(f"answer/{event.id}"), now)


def _template(said: Grievance) -> str | None:
    if isinstance(said, GrievanceOpened):
        return GRIEVANCE_OPENED
    return GRIEVANCE_UPDATED if said.state in TOLD else None
