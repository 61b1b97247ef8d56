"""The simulated partner's own record: what it was told, what it paid, what it says; in one SQLite file.

Where it stands in its topic is written with the effect, so a restart neither loses nor doubles anything.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from itertools import count
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

from pydantic_core import to_json

from contracts.payment import InstructionKind, PaymentInstruction, PaymentReport, ReportStatus
from contracts.topics import Topic
from contracts.wire import Cause, Received, dump, load
from simulators.partner_behaviour import Behaviour

AT_ONCE = 2000
_SCHEMA = """
create table if not exists position (partition integer primary key, next_offset integer not null);
create table if not exists payment (
    payment_id text not null, household_id text not null, instruction_id text not null,
    amount integer not null, commune text not null, withdraw_until text, pay_to text,
    state text not null, reason text, reference text not null, settle_at real, told integer not null,
    partition integer not null, cause_id text not null, correlation_id text not null,
    traceparent text not null, at text not null
);
create index if not exists payment_due on payment (settle_at) where settle_at is not null;
create table if not exists report (
    id integer primary key, partition integer not null, report_id text not null, household_id text not null,
    content blob not null, cause_id text not null, correlation_id text not null, traceparent text not null,
    dropped integer not null
);
create table if not exists said (up_to integer not null);
insert into said select 0 where not exists (select 1 from said);
create table if not exists refusal (
    partition integer not null, offset integer not null, item integer not null, reason text not null,
    primary key (partition, offset, item)
);
"""


class Report(NamedTuple):
    """A report as JSON, under the key and to the partition of its instruction; a row of `report`.

    `number` rises in the order in which they are said. What was `dropped` is never sent.
    """

    number: int
    partition: int
    report_id: str
    household_id: str
    content: bytes
    cause_id: str
    correlation_id: str
    traceparent: str
    dropped: bool

    @property
    def cause(self) -> Cause:
        """The instruction it follows from."""
        return Cause(self.cause_id, self.correlation_id, self.traceparent)


class Told(NamedTuple):
    """What one partition told in a poll, where it goes on, and what was `refused` of it.

    A refusal is the offset, the number in its record, and why it was no instruction.
    """

    partition: int
    instructions: Sequence[Received[PaymentInstruction]]
    refused: Sequence[tuple[int, int, str]]
    next_offset: int


@dataclass(slots=True)
class _Payment:
    """A row of `payment`; its fields are the columns."""

    payment_id: str
    household_id: str
    instruction_id: str
    amount: int
    commune: str
    withdraw_until: str | None
    pay_to: str | None
    state: str
    reason: str | None
    reference: str
    settle_at: float | None
    told: int
    partition: int
    cause_id: str
    correlation_id: str
    traceparent: str
    at: str


_COLUMNS = tuple(field.name for field in fields(_Payment))
_row = attrgetter(*_COLUMNS)
_ADD = f"insert into payment (rowid, {', '.join(_COLUMNS)}) values (?{', ?' * len(_COLUMNS)})"  # noqa: S608
_CHANGE = "update payment set state = ?, reason = ?, settle_at = ?, told = ? where rowid = ?"


class Ledger:
    """One partner's ledger. A payment id is paid at most once, however often it is told."""

    def __init__(self, path: Path, partner: str, reports: Topic, behaviour: Behaviour) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.executescript(
            "pragma journal_mode = wal; pragma synchronous = normal; pragma wal_autocheckpoint = 8000;"
            + _SCHEMA
        )
        (last,) = self._db.execute("select coalesce(max(id), 0) from report").fetchone()
        self._numbers = count(last + 1)
        # In memory: an index of random ids costs the file more than all else of a payment.
        self._rows: dict[str, int] = dict(
            self._db.execute("select payment_id, rowid from payment").fetchall()
        )
        self._partner = partner
        self._reports = reports
        self._behaviour = behaviour

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def positions(self) -> dict[int, int]:
        """Where each partition goes on."""
        return dict(self._db.execute("select partition, next_offset from position"))

    def take(self, polled: Sequence[Told], now: datetime) -> list[Report]:
        """Do instructions, each partition's in order, settle what is due of them, write where all go on.

        Returns what is to be said.
        """
        with self._transaction():
            payments = self._known({each.data.payment_id for part in polled for each in part.instructions})
            said = [
                self._obey(payments, part.partition, each, now)
                for part in polled
                for each in part.instructions
            ]
            said = self._numbered([*said, *self._settled(payments.values(), now)])
            self._save(payments.values(), said)
            refused = [(part.partition, *each) for part in polled for each in part.refused]
            self._db.executemany("insert or ignore into refusal values (?, ?, ?, ?)", refused)
            stand = [(part.partition, part.next_offset) for part in polled]
            self._db.executemany("insert or replace into position values (?, ?)", stand)
        return _not_dropped(said)

    def settle(self, now: datetime) -> list[Report]:
        """Pay out, or fail, what has become due, at most so many at once; returns what is to be said."""
        due = "select * from payment where settle_at <= ? order by settle_at limit ?"
        rows = self._db.execute(due, (now.timestamp(), AT_ONCE)).fetchall()
        if not rows:
            return []
        payments = [_Payment(*row) for row in rows]
        with self._transaction():
            said = self._numbered(self._settled(payments, now))
            self._save(payments, said)
        return _not_dropped(said)

    def unsent(self) -> list[Report]:
        """The next reports, in order, that were not sent before it was stopped."""
        rows = self._db.execute(
            "select * from report where id > (select up_to from said) and not dropped order by id limit ?",
            (AT_ONCE,),
        )
        return [Report(*row) for row in rows]

    def sent(self, up_to: int) -> None:
        """Note that the reports up to this number are on the topic."""
        self._db.execute("update said set up_to = ?", (up_to,))

    def shown(self, payment_id: str) -> dict[str, object] | None:
        """One payment, with how often it was told."""
        payment = self._known({payment_id}).get(payment_id)
        return asdict(payment) if payment else None

    def summary(self) -> dict[str, int]:
        """Payments and riel by state, instructions told again or refused, reports by state."""
        counts: dict[str, int] = {}
        for state, payments, riel in self._db.execute(
            "select state, count(*), sum(amount) from payment group by state"
        ):
            counts |= {state: payments, f"riel_{state}": riel}
        for state, reports in self._db.execute(
            "select case when dropped then 'dropped' when id <= up_to then 'sent' else 'waiting' end, "
            "count(*) from report, said group by 1"
        ):
            counts[f"reports_{state}"] = reports
        (counts["told_again"],) = self._db.execute(
            "select coalesce(sum(told - 1), 0) from payment"
        ).fetchone()
        (counts["refused"],) = self._db.execute("select count(*) from refusal").fetchone()
        return counts

    def _known(self, payment_ids: Iterable[str]) -> dict[str, _Payment]:
        rowids = [self._rows[each] for each in payment_ids if each in self._rows]
        if not rowids:
            return {}
        rows = self._db.execute(
            "select * from payment where rowid in (select value from json_each(?))", (json.dumps(rowids),)
        )
        return {row[0]: _Payment(*row) for row in rows}

    def _save(self, payments: Iterable[_Payment], said: Sequence[Report]) -> None:
        new, changed = list[tuple[object, ...]](), list[tuple[object, ...]]()
        for each in payments:
            rowid = self._rows.get(each.payment_id)
            if rowid is None:
                rowid = self._rows[each.payment_id] = len(self._rows) + 1
                new.append((rowid, *_row(each)))
            else:
                changed.append((each.state, each.reason, each.settle_at, each.told, rowid))
        self._db.executemany(_ADD, new)
        self._db.executemany(_CHANGE, changed)
        self._db.executemany("insert into report values (?, ?, ?, ?, ?, ?, ?, ?, ?)", said)

    def _obey(
        self,
        payments: dict[str, _Payment],
        partition: int,
        told: Received[PaymentInstruction],
        now: datetime,
    ) -> Report:
        """Do one instruction to the payments in memory, and say what is to be said."""
        asked = told.data
        payment = payments.get(asked.payment_id)
        if payment is None:
            payment = self._accepted(partition, told, now)
            if asked.kind is InstructionKind.PAY:
                payments[asked.payment_id] = payment
                return self._say(payment, now)
            if asked.kind is InstructionKind.CANCEL:
                # The id is void from here on: whoever tells it later is told that it was cancelled.
                void = replace(payment, state=ReportStatus.CANCELLED, settle_at=None, told=0)
                payments[asked.payment_id] = void
                return self._say(void, now, answers=told)
            unheard_of = replace(payment, state=ReportStatus.NOT_FOUND, reference="")
            return self._say(unheard_of, now, answers=told)
        payment.told += asked.kind is InstructionKind.PAY
        if asked.kind is InstructionKind.INQUIRE and self._behaviour.forgets(asked.payment_id):
            forgotten = replace(payment, state=ReportStatus.NOT_FOUND, reference="")
            return self._say(forgotten, now, answers=told)
        if asked.kind is InstructionKind.CANCEL and payment.state == ReportStatus.ACCEPTED:
            payment.state, payment.settle_at = ReportStatus.CANCELLED, None
        return self._say(payment, now, answers=told)

    def _accepted(self, partition: int, told: Received[PaymentInstruction], now: datetime) -> _Payment:
        asked = told.data
        return _Payment(
            payment_id=asked.payment_id,
            household_id=told.key,
            instruction_id=asked.instruction_id,
            amount=asked.amount,
            commune=asked.commune,
            withdraw_until=asked.withdraw_until.isoformat() if asked.withdraw_until else None,
            pay_to=dump(asked.pay_to).decode() if asked.pay_to else None,
            state=ReportStatus.ACCEPTED,
            reason=None,
            reference=f"{self._partner}-{asked.payment_id[:13]}",
            settle_at=now.timestamp() + self._behaviour.settle_after_s,
            told=1,
            partition=partition,
            cause_id=told.id,
            correlation_id=told.correlation_id,
            traceparent=told.traceparent,
            at=now.isoformat(),
        )

    def _settled(self, payments: Iterable[_Payment], now: datetime) -> list[Report]:
        """Pay out, or fail, those of these payments that are due."""
        by = now.timestamp()
        due = [each for each in payments if each.settle_at is not None and each.settle_at <= by]
        for payment in due:
            was_failed = payment.state == ReportStatus.FAILED
            settled = ReportStatus.SETTLED, None
            payment.state, payment.reason = (
                settled if was_failed else self._behaviour.ends(payment.payment_id)
            )
            relents = payment.state == ReportStatus.FAILED and self._behaviour.relents(payment.payment_id)
            payment.settle_at = by + self._behaviour.relent_after_s if relents else None
        return [self._say(each, now) for each in due]

    def _numbered(self, said: Sequence[Report]) -> list[Report]:
        """The reports in the order in which it says them, garbled as it behaves."""
        behaviour, late = self._behaviour, list[Report]()
        found: list[Report] = []
        for report in said:
            repeated = behaviour.picks(behaviour.twice, f"twice/{report.report_id}")
            times = [report, report] if repeated else [report]
            if behaviour.picks(behaviour.late, f"late/{report.report_id}"):
                late += times
                continue
            found += [*self._besides(report), *times]
        return [Report(next(self._numbers), *each[1:]) for each in (*found, *late)]

    def _besides(self, report: Report) -> Iterator[Report]:
        if self._behaviour.wrong_amount or self._behaviour.unknown:
            for each in self._behaviour.besides(load(PaymentReport, report.content), self._reports):
                yield report._replace(report_id=each.report_id, content=dump(each))

    def _say(
        self, payment: _Payment, now: datetime, answers: Received[PaymentInstruction] | None = None
    ) -> Report:
        """A report on a payment; `answers` is the instruction that asked, where one did."""
        about = payment.instruction_id if payment.state == ReportStatus.NOT_FOUND else payment.payment_id
        report_id = f"{about}/{payment.state}"
        report: dict[str, object] = {
            "report_id": report_id,
            "payment_id": payment.payment_id,
            "instruction_id": answers.data.instruction_id if answers else payment.instruction_id,
            "partner": self._partner,
            "status": payment.state,
            "amount": payment.amount,
            "currency": "KHR",
            "occurred_at": now,
        }
        if payment.reference:
            report["partner_reference"] = payment.reference
        if payment.reason:
            report["reason_code"] = payment.reason
        lost = answers is None and self._behaviour.picks(self._behaviour.drop, f"drop/{report_id}")
        return Report(
            number=0,
            partition=payment.partition,
            report_id=report_id,
            household_id=payment.household_id,
            content=to_json(report),
            cause_id=answers.id if answers else payment.cause_id,
            correlation_id=answers.correlation_id if answers else payment.correlation_id,
            traceparent=answers.traceparent if answers else payment.traceparent,
            dropped=lost,
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")


def _not_dropped(reports: Iterable[Report]) -> list[Report]:
    return [report for report in reports if not report.dropped]
