"""The simulated partner's own record: what it pays, fails, drops and answers, as seeded."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contracts import bundle, wire
from contracts.payment import InstructionKind, PaymentInstruction, PaymentReport, ReportStatus
from contracts.topics import partner_report
from contracts.wire import Received
from simulators.partner_behaviour import Behaviour
from simulators.partner_ledger import Ledger, Told
from simulators.partner_reports import Letter

NOW = datetime(2023, 6, 2, tzinfo=UTC)
PAY, INQUIRE, CANCEL = InstructionKind.PAY, InstructionKind.INQUIRE, InstructionKind.CANCEL
S = ReportStatus
WING = partner_report("wing")


class Books:
    """A ledger on a file, and what it says."""

    def __init__(self, folder: Path, **behaviour: float) -> None:
        seeded = Behaviour.model_validate({"seed": 7, "fail": 0.0, **behaviour})
        self.ledger = Ledger(folder / "partner.sqlite", "wing", WING, seeded)
        self.offset = 0

    def do(self, *told: tuple[str, InstructionKind], at: datetime = NOW) -> list[PaymentReport]:
        """Take these instructions, settle what is due, and send what there is to say."""
        said = self.ledger.take([Told(0, [_told(*each) for each in told], [], self.offset + len(told))], at)
        self.offset += len(told)
        said += self.ledger.settle(at)
        if said:
            self.ledger.sent(said[-1].number)
        return [report for letter in said for report in reports(letter)]


def reports(letter: Letter) -> list[PaymentReport]:
    if letter.reports == 1:
        return [wire.load(PaymentReport, letter.payload)]
    read = [each.event for each in bundle.read(PaymentReport, WING.name, letter.payload)]
    return [each.data for each in read if isinstance(each, Received)]


def statuses(said: Sequence[PaymentReport]) -> list[tuple[str, ReportStatus]]:
    return [(each.payment_id, each.status) for each in said]


@pytest.fixture
def books(tmp_path: Path) -> Iterator[Books]:
    found = Books(tmp_path)
    yield found
    found.ledger.close()


def test_a_payment_is_accepted_then_settled_and_answered_the_same_for_ever(books: Books) -> None:
    first = books.do(("p-1", PAY))
    assert statuses(first) == [("p-1", S.ACCEPTED), ("p-1", S.SETTLED)]
    again = books.do(("p-1", PAY), ("p-1", INQUIRE), ("p-1", CANCEL))
    assert [each.report_id for each in again] == [first[1].report_id] * 3
    assert books.ledger.summary()["told_again"] == 1


def test_where_it_stands_is_kept_with_the_effect(books: Books) -> None:
    books.do(("p-1", PAY), ("p-2", PAY))
    books.ledger.take([Told(0, [_told("p-3", PAY)], [(3, 0, "WireError")], 4)], NOW)
    assert books.ledger.positions() == {0: 4}
    assert books.ledger.summary()["refused"] == 1


def test_what_was_not_sent_is_sent_after_a_restart_and_numbers_go_on(tmp_path: Path) -> None:
    stopped = Books(tmp_path)
    stopped.do(("p-1", PAY))
    said = stopped.ledger.take([Told(0, [_told("p-2", PAY)], [], 2)], NOW)
    stopped.ledger.close()
    books = Books(tmp_path)
    assert books.ledger.unsent() == said
    books.ledger.sent(said[-1].number)
    assert books.ledger.unsent() == []
    (more,) = books.ledger.take([Told(0, [_told("p-3", PAY)], [], 3)], NOW)
    assert (more.reports, more.number) == (2, said[-1].number + 2)


def test_a_payment_told_again_after_a_restart_is_paid_no_second_time(tmp_path: Path) -> None:
    stopped = Books(tmp_path)
    first = stopped.do(("p-1", PAY), ("p-2", PAY))
    stopped.ledger.close()
    books = Books(tmp_path)
    assert [each.report_id for each in books.do(("p-2", PAY), ("p-3", PAY))[:1]] == [first[-1].report_id]
    summary = books.ledger.summary()
    assert (summary["settled"], summary["told_again"]) == (3, 1)


def test_one_in_the_share_fails_with_a_code(tmp_path: Path) -> None:
    books = Books(tmp_path, fail=0.1)
    said = books.do(*((f"p-{number}", PAY) for number in range(500)))
    failed = [each for each in said if each.status is S.FAILED]
    assert 30 < len(failed) < 70
    assert {each.reason_code for each in failed} == {"account-closed"}


def test_a_dropped_report_is_given_when_asked(tmp_path: Path) -> None:
    books = Books(tmp_path, drop=1.0)
    assert books.do(("p-1", PAY)) == []
    assert statuses(books.do(("p-1", INQUIRE))) == [("p-1", S.SETTLED)]


def test_what_is_not_settled_yet_can_be_cancelled(tmp_path: Path) -> None:
    books = Books(tmp_path, settle_after_s=60.0)
    assert statuses(books.do(("p-1", PAY), ("p-2", PAY), ("p-1", CANCEL))) == [
        ("p-1", S.ACCEPTED),
        ("p-2", S.ACCEPTED),
        ("p-1", S.CANCELLED),
    ]
    assert statuses(books.do(at=NOW + timedelta(seconds=61))) == [("p-2", S.SETTLED)]


def test_what_was_never_told_is_not_found_and_can_still_be_paid(books: Books) -> None:
    assert statuses(books.do(("p-1", INQUIRE))) == [("p-1", S.NOT_FOUND)]
    assert statuses(books.do(("p-1", PAY))) == [("p-1", S.ACCEPTED), ("p-1", S.SETTLED)]


def test_what_expired_says_so_and_what_failed_may_be_settled_after_all(tmp_path: Path) -> None:
    expiring = Books(tmp_path / "1", expire=1.0)
    assert statuses(expiring.do(("p-1", PAY)))[1:] == [("p-1", S.EXPIRED)]
    relenting = Books(tmp_path / "2", fail=1.0, relent=1.0, relent_after_s=60)
    assert statuses(relenting.do(("p-1", PAY)))[1:] == [("p-1", S.FAILED)]
    assert statuses(relenting.do(at=NOW + timedelta(seconds=61))) == [("p-1", S.SETTLED)]
    assert statuses(relenting.do(at=NOW + timedelta(seconds=200))) == []


def test_an_answer_that_a_payment_failed_binds_it_and_one_that_it_was_forgotten_does_not(
    tmp_path: Path,
) -> None:
    later = NOW + timedelta(seconds=61)
    bound = Books(tmp_path / "1", fail=1.0, relent=1.0, relent_after_s=60)
    assert statuses(bound.do(("p-1", PAY), ("p-2", PAY)))[2:] == [("p-1", S.FAILED), ("p-2", S.FAILED)]
    assert statuses(bound.do(("p-1", INQUIRE))) == [("p-1", S.FAILED)]
    assert statuses(bound.do(("p-1", INQUIRE), at=later)) == [("p-1", S.FAILED), ("p-2", S.SETTLED)]
    forgetful = Books(tmp_path / "2", fail=1.0, relent=1.0, relent_after_s=60, forget=1.0)
    forgetful.do(("p-1", PAY))
    assert statuses(forgetful.do(("p-1", INQUIRE))) == [("p-1", S.NOT_FOUND)]
    assert statuses(forgetful.do(at=later)) == [("p-1", S.SETTLED)]


def test_what_it_forgot_is_not_found_though_it_was_paid(tmp_path: Path) -> None:
    books = Books(tmp_path, forget=1.0)
    books.do(("p-1", PAY))
    assert statuses(books.do(("p-1", INQUIRE))) == [("p-1", S.NOT_FOUND)]
    assert books.ledger.summary()["settled"] == 1


def test_reports_come_twice_late_and_beside_wrong_ones(tmp_path: Path) -> None:
    assert statuses(Books(tmp_path / "1", twice=1.0).do(("p-1", PAY))) == [
        *[("p-1", S.ACCEPTED)] * 2,
        *[("p-1", S.SETTLED)] * 2,
    ]
    late = Books(tmp_path / "2", late=0.5).do(*((f"p-{number}", PAY) for number in range(50)))
    assert any(
        late.index(settled) < late.index(accepted)
        for settled in late
        for accepted in late
        if (settled.payment_id, settled.status, accepted.status)
        == (accepted.payment_id, S.SETTLED, S.ACCEPTED)
    )
    wrong = Books(tmp_path / "3", wrong_amount=1.0, unknown=1.0).do(("p-1", PAY))
    assert [(each.payment_id == "p-1", each.amount) for each in wrong[:3]] == [
        (True, 176_100),
        (False, 176_000),
        (True, 176_000),
    ]


def test_a_partner_is_down_for_a_part_of_the_time_only() -> None:
    behaviour = Behaviour(down_s=2, down_every_s=10)
    assert [behaviour.is_down(at) for at in (0.0, 1.9, 2.0, 9.9, 10.5)] == [True, True, False, False, True]


def test_what_is_cancelled_before_it_was_told_is_void_for_ever(books: Books) -> None:
    assert statuses(books.do(("p-1", CANCEL))) == [("p-1", S.CANCELLED)]
    assert statuses(books.do(("p-1", PAY), ("p-1", INQUIRE))) == [("p-1", S.CANCELLED)] * 2


def test_what_was_said_can_be_read_report_by_report(tmp_path: Path) -> None:
    books = Books(tmp_path, drop=0.3)
    said = books.do(*((f'p-{number} "ក"', PAY) for number in range(50)))
    said += books.do(("p-1", INQUIRE))
    with closing(sqlite3.connect(tmp_path / "partner.sqlite")) as db:
        rows = db.execute("select household_id, report_id, content from report where not dropped").fetchall()
        assert db.execute("select count(*) from report").fetchone() == (101,)
    assert {(key, id_, wire.load(PaymentReport, content.encode())) for key, id_, content in rows} == {
        (f"h-{each.payment_id}", each.report_id, each) for each in said
    }
    assert (books.ledger.summary()["reports_sent"], len(said) < 90) == (len(said), True)


def test_a_letter_holds_one_partition_and_no_more_than_is_agreed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "partner.sqlite", "wing", WING, Behaviour(fail=0), 7)
    told = [Told(part, [_told(f"p-{part}-{n}", PAY) for n in range(10)], [], 10) for part in (3, 5)]
    said = ledger.take(told, NOW)
    assert [(each.partition, each.reports) for each in said] == [
        (3, 7),
        (3, 7),
        (3, 6),
        (5, 7),
        (5, 7),
        (5, 6),
    ]
    assert [each.number for each in said] == [7, 14, 20, 27, 34, 40]
    assert {each.payment_id.split("-")[1] for each in reports(said[0])} == {"3"}


def test_a_letter_is_small_enough_for_a_token(books: Books) -> None:
    said = books.ledger.take([Told(0, [_told(f"p-{n}", PAY) for n in range(300)], [], 300)], NOW)
    assert all(20_000 < len(each.payload) <= bundle.BYTES_MOST for each in said[:-1])


def test_a_file_of_before_there_were_letters_goes_on(tmp_path: Path) -> None:
    before = PaymentReport(
        report_id="r", payment_id="p-1", partner="wing", status=S.SETTLED, amount=1, occurred_at=NOW
    )
    with closing(sqlite3.connect(tmp_path / "partner.sqlite", isolation_level=None)) as db:
        db.executescript(_BEFORE)
        rows = [
            (number, 0, f"r-{number}", "h-1", wire.dump(before), "i-1", "corr", "trace", number == 3)
            for number in range(1, 5)
        ]
        db.executemany("insert into report values (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    for _ in range(2):
        books = Books(tmp_path)
        (left,) = books.ledger.unsent()
        assert (left.number, left.letter_id, left.cause) == (4, "r-4", wire.Cause("i-1", "corr", "trace"))
        assert reports(left) == [before]
        assert books.ledger.summary()["reports_sent"] == 2
        books.ledger.close()
    assert statuses(Books(tmp_path).do(("p-1", PAY))) == [("p-1", S.ACCEPTED), ("p-1", S.SETTLED)]


_BEFORE = """
create table report (
    id integer primary key, partition integer not null, report_id text not null, household_id text not null,
    content blob not null, cause_id text not null, correlation_id text not null, traceparent text not null,
    dropped integer not null
);
create table said (up_to integer not null);
insert into said values (2);
"""


def _told(payment_id: str, kind: InstructionKind) -> Received[PaymentInstruction]:
    data = PaymentInstruction(
        instruction_id=f"{payment_id}/{kind}",
        kind=kind,
        payment_id=payment_id,
        partner="wing",
        amount=176_000,
        commune="120101",
    )
    return Received(data, "i-1", "partner.wing.instruction.v1", f"h-{payment_id}", NOW, 1, "corr", "trace")
