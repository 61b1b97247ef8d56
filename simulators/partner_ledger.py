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

from contracts.payment import InstructionKind, PaymentInstruction, PaymentReport, ReportStatus
from contracts.topics import Topic
from contracts.wire import Cause, Received, dump, load
from simulators.partner_behaviour import Behaviour
from simulators.partner_reports import Letter, Report, letters, quoted

AT_ONCE = 2000
LETTERS_AT_ONCE = 100
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
create table if not exists letter (
    number integer primary key, partition integer not null, letter_id text not null,
    household_id text not null, cause_id text not null, correlation_id text not null,
    traceparent text not null, reports integer not null, dropped integer not null, payload blob not null
);
create table if not exists said (up_to integer not null);
insert into said select 0 where not exists (select 1 from said);
create table if not exists refusal (
    partition integer not null, offset integer not null, item integer not null, reason text not null,
    primary key (partition, offset, item)
);
"""
_OLDER = """
insert into letter select id, partition, report_id, household_id, cause_id, correlation_id, traceparent,
    1, dropped, content from report;
drop table report;
"""
"""A file of before there were letters has a row for each report."""
_REPORTS = """
create view if not exists report as
select household_id, letter_id as report_id, cast(payload as text) as content, dropped
from letter where reports = 1
union all
select json_extract(event.value, '$.partitionkey'), json_extract(event.value, '$.id'),
    json_extract(event.value, '$.data'), dropped
from letter, json_each(cast(payload as text)) event where reports > 1;
"""
"""What was said, report by report."""


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

    def __init__(
        self, path: Path, partner: str, reports: Topic, behaviour: Behaviour, bundle_most: int = 100
    ) -> None:
        """`bundle_most`: how many reports it signs together."""
        self._db = _opened(path)
        (last,) = self._db.execute("select coalesce(max(number), 0) from letter").fetchone()
        self._numbers = count(last + 1)
        # In memory: an index of random ids costs the file more than all else of a payment.
        self._rows: dict[str, int] = dict(
            self._db.execute("select payment_id, rowid from payment").fetchall()
        )
        self._partner = partner
        self._reports = reports
        self._behaviour = behaviour
        self._most = bundle_most

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def positions(self) -> dict[int, int]:
        """Where each partition goes on."""
        return dict(self._db.execute("select partition, next_offset from position"))

    def take(self, polled: Sequence[Told], now: datetime) -> list[Letter]:
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
            said += self._settled(payments.values(), now)
            written = self._save(payments.values(), said, now)
            refused = [(part.partition, *each) for part in polled for each in part.refused]
            self._db.executemany("insert or ignore into refusal values (?, ?, ?, ?)", refused)
            stand = [(part.partition, part.next_offset) for part in polled]
            self._db.executemany("insert or replace into position values (?, ?)", stand)
        return _not_dropped(written)

    def settle(self, now: datetime) -> list[Letter]:
        """Pay out, or fail, what has become due, at most so many at once; returns what is to be said."""
        due = "select * from payment where settle_at <= ? order by settle_at limit ?"
        rows = self._db.execute(due, (now.timestamp(), AT_ONCE)).fetchall()
        if not rows:
            return []
        payments = [_Payment(*row) for row in rows]
        with self._transaction():
            written = self._save(payments, self._settled(payments, now), now)
        return _not_dropped(written)

    def unsent(self) -> list[Letter]:
        """The next letters, in order, that were not sent before it was stopped."""
        rows = self._db.execute(
            "select * from letter where number > (select up_to from said) and not dropped "
            "order by number limit ?",
            (LETTERS_AT_ONCE,),
        )
        return [Letter(*row) for row in rows]

    def sent(self, up_to: int) -> None:
        """Note that the letters up to this number are on the topic."""
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
            "select case when dropped then 'dropped' when number <= up_to then 'sent' else 'waiting' end, "
            "sum(reports) from letter, said group by 1"
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

    def _save(self, payments: Iterable[_Payment], said: Sequence[Report], now: datetime) -> list[Letter]:
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
        garbled = self._garbled(said)
        written = list(letters(self._reports, garbled, self._numbers, self._most, now.isoformat()))
        self._db.executemany("insert into letter values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", written)
        return written

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
        if asked.kind is not InstructionKind.PAY and payment.state == ReportStatus.FAILED:
            payment.settle_at = None  # its answer binds it
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

    def _garbled(self, said: Sequence[Report]) -> Sequence[Report]:
        """The reports in the order in which it says them, as it behaves."""
        behaviour, found, late = self._behaviour, list[Report](), list[Report]()
        if not (behaviour.twice or behaviour.late or behaviour.wrong_amount or behaviour.unknown):
            return said
        for report in said:
            times = 2 if behaviour.picks(behaviour.twice, f"twice/{report.report_id}") else 1
            if behaviour.picks(behaviour.late, f"late/{report.report_id}"):
                late += [report] * times
            else:
                found += [*self._besides(report), *[report] * times]
        return found + late

    def _besides(self, report: Report) -> Iterator[Report]:
        for each in self._behaviour.besides(load(PaymentReport, report.data.encode()), self._reports):
            yield report._replace(report_id=each.report_id, data=dump(each).decode())

    def _say(
        self, payment: _Payment, now: datetime, answers: Received[PaymentInstruction] | None = None
    ) -> Report:
        """A report on a payment; `answers` is the instruction that asked, where one did."""
        about = payment.instruction_id if payment.state == ReportStatus.NOT_FOUND else payment.payment_id
        report_id = f"{about}/{payment.state}"
        asked = answers.data.instruction_id if answers else payment.instruction_id
        data = (
            f'{{"report_id":{quoted(report_id)},"payment_id":{quoted(payment.payment_id)},'
            f'"instruction_id":{quoted(asked)},"partner":"{self._partner}","status":"{payment.state}",'
            f'"amount":{payment.amount},"currency":"KHR","occurred_at":"{now.isoformat()}"'
        )
        if payment.reference:
            data += f',"partner_reference":{quoted(payment.reference)}'
        if payment.reason:
            data += f',"reason_code":"{payment.reason}"'
        data += "}"
        if answers is None:
            cause = Cause(payment.cause_id, payment.correlation_id, payment.traceparent)
            lost = self._behaviour.picks(self._behaviour.drop, f"drop/{report_id}")
        else:
            cause, lost = Cause(answers.id, answers.correlation_id, answers.traceparent), False
        return Report(payment.partition, lost, report_id, payment.household_id, cause, data)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")


def _opened(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    db = sqlite3.connect(path, isolation_level=None)
    # Large pages, written by fewer calls of the system.
    db.executescript(
        "pragma page_size = 32768; pragma journal_mode = wal; pragma synchronous = normal;"
        "pragma wal_autocheckpoint = 1000;" + _SCHEMA
    )
    if db.execute("select true from sqlite_master where type = 'table' and name = 'report'").fetchone():
        db.executescript(f"begin immediate; {_OLDER} commit;")
    db.executescript(_REPORTS)
    return db


def _not_dropped(written: Iterable[Letter]) -> list[Letter]:
    return [letter for letter in written if not letter.dropped]
