"""The simulated partner's own record: what it was told, what it paid, what it says; in one SQLite file.

Where it stands in its topic is written with the effect, so a restart neither loses nor doubles anything.
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from contracts.payment import InstructionKind, PaymentInstruction, PaymentReport, ReportStatus
from contracts.topics import Topic
from contracts.wire import Cause, Received, dump, event_id

AT_ONCE = 2000
_SCHEMA = """
create table if not exists position (partition integer primary key, next_offset integer not null);
create table if not exists payment (
    payment_id text primary key, household_id text not null, instruction_id text not null,
    amount integer not null, commune text not null, withdraw_until text, pay_to text,
    state text not null, reason text, reference text not null, settle_at real,
    told integer not null default 1, cause_id text not null,
    correlation_id text not null, traceparent text not null, at text not null
) without rowid;
create index if not exists payment_due on payment (settle_at) where settle_at is not null;
create table if not exists report (
    id integer primary key, report_id text not null, household_id text not null, content blob not null,
    cause_id text not null, correlation_id text not null, traceparent text not null, state text not null
);
create index if not exists report_unsent on report (id) where state = 'waiting';
create table if not exists refused (
    partition integer not null, offset integer not null, reason text not null, primary key (partition, offset)
);
"""


class Behaviour(NamedTuple):
    """Seeded: shares (0..1) of payments that fail and of reports never sent; seconds until it settles."""

    seed: int = 0
    fail_share: float = 0.01
    drop_share: float = 0.0
    settle_after_s: float = 0.0

    def picks(self, share: float, what: str) -> bool:
        """Whether this one is among the share; the same seed picks the same ones for ever."""
        digest = blake2b(f"{self.seed}/{what}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) < share * 2**64


class Report(NamedTuple):
    """A report to send, as JSON; `number` rises with each."""

    number: int
    report_id: str
    household_id: str
    content: bytes
    cause: Cause


@dataclass(slots=True)
class _Payment:
    payment_id: str
    household_id: str
    instruction_id: str
    amount: int
    state: str
    reason: str | None
    reference: str
    cause: Cause


class Ledger:
    """One partner's ledger. A payment id is paid at most once, however often it is told."""

    def __init__(self, path: Path, partner: str, reports: Topic, behaviour: Behaviour) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        self._db.executescript("pragma journal_mode = wal; pragma synchronous = normal;" + _SCHEMA)
        self._partner = partner
        self._reports = reports
        self._behaviour = behaviour

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def positions(self) -> dict[int, int]:
        """Where each partition goes on."""
        return {row[0]: row[1] for row in self._db.execute("select partition, next_offset from position")}

    def take(
        self,
        told: Sequence[Received[PaymentInstruction]],
        refused: Sequence[tuple[int, int, str]],
        positions: Mapping[int, int],
        now: datetime,
    ) -> None:
        """Do a batch of instructions, in order, and write where the partitions go on."""
        with self._transaction():
            known = self._known(each.data.payment_id for each in told)
            for each in told:
                self._obey(known, each, now)
            self._db.executemany("insert or ignore into refused values (?, ?, ?)", refused)
            self._db.executemany("insert or replace into position values (?, ?)", positions.items())

    def settle(self, now: datetime) -> int:
        """Pay out, or fail, what is due; returns how many."""
        due = self._db.execute(
            "select * from payment where settle_at <= ? order by settle_at limit ?",
            (now.timestamp(), AT_ONCE),
        ).fetchall()
        if not due:
            return 0
        with self._transaction():
            payments = [_payment(row) for row in due]
            for payment in payments:
                fails = self._behaviour.picks(self._behaviour.fail_share, f"fail/{payment.payment_id}")
                payment.state = ReportStatus.FAILED if fails else ReportStatus.SETTLED
                payment.reason = "account-closed" if fails else None
            self._db.executemany(
                "update payment set state = ?, reason = ?, settle_at = null where payment_id = ?",
                [(each.state, each.reason, each.payment_id) for each in payments],
            )
            self._say([(each, each.cause, None) for each in payments], now)
        return len(payments)

    def unsent(self) -> list[Report]:
        """The next reports to send, in order."""
        rows = self._db.execute(
            "select * from report where state = 'waiting' order by id limit ?", (AT_ONCE,)
        ).fetchall()
        return [
            Report(row["id"], row["report_id"], row["household_id"], row["content"], _cause(row))
            for row in rows
        ]

    def sent(self, numbers: Iterable[int]) -> None:
        """Note that these reports are on the topic."""
        with self._transaction():
            self._db.executemany(
                "update report set state = 'sent' where id = ?", [(number,) for number in numbers]
            )

    def shown(self, payment_id: str) -> dict[str, object] | None:
        """One payment, with how often it was told."""
        row = self._db.execute("select * from payment where payment_id = ?", (payment_id,)).fetchone()
        return dict(row) if row else None

    def summary(self) -> dict[str, int]:
        """Payments and riel by state, instructions told again or refused, reports by state."""
        counts: dict[str, int] = {}
        for state, payments, riel in self._db.execute(
            "select state, count(*), sum(amount) from payment group by state"
        ):
            counts |= {state: payments, f"riel_{state}": riel}
        for state, count in self._db.execute("select state, count(*) from report group by state"):
            counts[f"reports_{state}"] = count
        (counts["told_again"],) = self._db.execute(
            "select coalesce(sum(told - 1), 0) from payment"
        ).fetchone()
        (counts["refused"],) = self._db.execute("select count(*) from refused").fetchone()
        return counts

    def _known(self, payment_ids: Iterable[str]) -> dict[str, _Payment]:
        wanted = json.dumps(sorted(set(payment_ids)))
        rows = self._db.execute(
            "select * from payment where payment_id in (select value from json_each(?))", (wanted,)
        )
        return {row["payment_id"]: _payment(row) for row in rows}

    def _obey(self, known: dict[str, _Payment], told: Received[PaymentInstruction], now: datetime) -> None:
        asked = told.data
        cause = Cause(told.id, told.correlation_id, told.traceparent)
        payment = known.get(asked.payment_id)
        if payment is None and asked.kind is InstructionKind.PAY:
            known[asked.payment_id] = payment = self._accept(asked, told.key, cause, now)
            self._say([(payment, cause, None)], now)
            return
        if payment is None:
            self._say([(_unheard_of(asked, told.key, cause), cause, asked.instruction_id)], now)
            return
        if asked.kind is InstructionKind.PAY:
            self._db.execute("update payment set told = told + 1 where payment_id = ?", (asked.payment_id,))
        if asked.kind is InstructionKind.CANCEL and payment.state == ReportStatus.ACCEPTED:
            payment.state = ReportStatus.CANCELLED
            self._db.execute(
                "update payment set state = ?, settle_at = null where payment_id = ?",
                (payment.state, asked.payment_id),
            )
        self._say([(payment, cause, asked.instruction_id)], now)

    def _accept(self, asked: PaymentInstruction, household_id: str, cause: Cause, now: datetime) -> _Payment:
        reference = f"{self._partner}-{event_id(self._reports, asked.payment_id)[:13]}"
        self._db.execute(
            "insert into payment values (?, ?, ?, ?, ?, ?, ?, ?, null, ?, ?, 1, ?, ?, ?, ?)",
            (
                *(asked.payment_id, household_id, asked.instruction_id, asked.amount, asked.commune),
                asked.withdraw_until.isoformat() if asked.withdraw_until else None,
                asked.pay_to.model_dump_json() if asked.pay_to else None,
                *(ReportStatus.ACCEPTED, reference, now.timestamp() + self._behaviour.settle_after_s),
                *(*_fields(cause), now.isoformat()),
            ),
        )
        return _Payment(
            asked.payment_id,
            household_id,
            asked.instruction_id,
            asked.amount,
            ReportStatus.ACCEPTED,
            None,
            reference,
            cause,
        )

    def _say(self, said: Iterable[tuple[_Payment, Cause, str | None]], now: datetime) -> None:
        """Put reports in line; `answers` is the instruction that asked, where one did."""
        rows = []
        for payment, cause, answers in said:
            about = answers if payment.state == ReportStatus.NOT_FOUND else payment.payment_id
            report = PaymentReport(
                report_id=event_id(self._reports, about, payment.state),
                payment_id=payment.payment_id,
                instruction_id=answers or payment.instruction_id,
                partner=self._partner,
                status=ReportStatus(payment.state),
                amount=payment.amount,
                partner_reference=payment.reference or None,
                reason_code=payment.reason,
                occurred_at=now,
            )
            lost = answers is None and self._behaviour.picks(
                self._behaviour.drop_share, f"drop/{report.report_id}"
            )
            rows.append(
                (
                    *(report.report_id, payment.household_id, dump(report), *_fields(cause)),
                    "dropped" if lost else "waiting",
                )
            )
        self._db.executemany("insert into report values (null, ?, ?, ?, ?, ?, ?, ?)", rows)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._db.execute("rollback")
            raise
        self._db.execute("commit")


def _fields(cause: Cause) -> tuple[str, str, str]:
    """A cause as three columns."""
    return cause.id, cause.correlation_id, cause.traceparent


def _cause(row: sqlite3.Row) -> Cause:
    return Cause(row["cause_id"], row["correlation_id"], row["traceparent"])


def _payment(row: sqlite3.Row) -> _Payment:
    return _Payment(
        row["payment_id"],
        row["household_id"],
        row["instruction_id"],
        row["amount"],
        row["state"],
        row["reason"],
        row["reference"],
        _cause(row),
    )


def _unheard_of(asked: PaymentInstruction, household_id: str, cause: Cause) -> _Payment:
    return _Payment(
        asked.payment_id,
        household_id,
        asked.instruction_id,
        asked.amount,
        ReportStatus.NOT_FOUND,
        None,
        "",
        cause,
    )
