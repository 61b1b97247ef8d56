"""Work beside the stream: issue what waited or failed, ask silent partners. A chunk is a transaction."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from contracts.wire import Record
from postbox import outbox, parking
from postbox.message import Connection
from postbox.outbox import Written
from postbox.service import Job, Service
from services.payments import (
    attempts,
    claims,
    entitlements,
    payroll,
    screening_desk,
    states,
    store,
    store_attempts,
    store_cycles,
    store_envelopes,
    store_holds,
    store_payrolls,
    store_reports,
    store_screening,
)
from services.payments.attempts import Tried
from services.payments.budget import Budget, Waiting
from services.payments.cycles import Cycle
from services.payments.entitlements import Issued
from services.payments.handlers import Office, opener, write
from services.payments.partners import calls, intake, orders, pausing
from services.payments.payroll import Digest, Line
from vault import keyring

CHUNK, FREEZE_CHUNK = 500, 2000
ISSUE, FREEZE, REISSUE, LIFT = "issue", "freeze", "reissue", "lift"
ISSUE_LANE, LIFT_LANE, INQUIRE_LANE = "job:issue", "job:lift", "job:inquire"
REISSUE_LANE, FREEZE_LANE = "job:reissue", "job:freeze"


def beside(office: Office) -> list[Job]:
    """Every job of this office."""
    return [
        Job(ISSUE, partial(issue_waiting, office)),
        Job(FREEZE, partial(freeze, office)),
        Job(REISSUE, partial(reissue, office), 2.0),
        Job(LIFT, partial(lift_holds, office), 5.0),
        Job("inquire", partial(inquire, office), 2.0),
        Job(orders.ORDERS, orders.Orders(office).run),
        Job(calls.CALLS, calls.Calls(office).run),
        Job(intake.INTAKE, intake.Intake(office).run, 5.0),
    ]


async def issue_waiting(office: Office, service: Service) -> bool:
    """Issue a chunk of what waits in a cycle that was approved or has room again; True where more is left.

    Goes by household id, and can be stopped anywhere: where it stands is written with what it issued.
    """
    async with service.db.acquire() as db, db.transaction():
        turn = await store_cycles.next_turn(db)
        if turn is None:
            return False
        waiting = await store_cycles.waiting_in(db, turn, CHUNK)
        records = await issue(office, db, turn.cycle.cycle_id, waiting)
        await store_cycles.go_on(db, turn, waiting[-1] if len(waiting) == CHUNK else None)
        written = await outbox.write(db, ISSUE_LANE, records)
    await service.courier.bring(ISSUE_LANE, written)
    return True


async def freeze(office: Office, service: Service) -> bool:
    """Freeze a chunk of what waits into a payroll that was begun; True where more is left.

    Can be stopped anywhere: where it stands is written with the lines. Who is held or alike somebody on the
    screening list, whose payee is to be confirmed or whose key is destroyed, is on no list.
    """
    now = datetime.now(UTC)
    async with service.db.acquire() as db, db.transaction():
        freezing = await store_payrolls.next_freezing(db)
        if freezing is None:
            return False
        cycle = await store_cycles.find(db, freezing.payroll.cycle_id)
        assert cycle is not None
        found = await store_payrolls.freezable(db, freezing, FREEZE_CHUNK)
        written: Written = {}
        if found:
            written = await outbox.write(db, FREEZE_LANE, await _screen(office, db, found, now))
            lines = await _lines(office, db, cycle, found)
            await store_payrolls.add_lines(db, freezing.payroll, lines, found[-1])
        else:
            digest = Digest(cycle.terms)
            async for page in store_payrolls.lines(db, cycle.cycle_id, freezing.payroll.number):
                digest.add(page)
            await store_payrolls.save(db, payroll.freeze(freezing.payroll, digest, office.thresholds), now)
    await service.courier.bring(FREEZE_LANE, written)
    return True


async def _lines(office: Office, db: Connection, cycle: Cycle, household_ids: Sequence[str]) -> list[Line]:
    """The lines of these households, sorted; what keeps others out is written where it is shown."""
    held = await parking.held(db, household_ids)
    households = await store.load(db, household_ids, [cycle.terms.period])
    key_ids = [each.payee.key_id for each in households.values() if each.payee]
    keys = await keyring.load(db, office.master, key_ids)
    desk = office.desk(keys, {cycle.cycle_id: Budget(cycle)}, await store_holds.held(db, household_ids))
    claimed = {
        each.household_id: claims.claim(desk, each, cycle.cycle_id)
        for each in households.values()
        if each.household_id not in held
    }
    kept_out = {each: said for each, said in claimed.items() if isinstance(said, Waiting)}
    await store_payrolls.keep_out(db, cycle.cycle_id, kept_out)
    return sorted(said for said in claimed.values() if isinstance(said, Line))


async def lift_holds(office: Office, service: Service) -> bool:
    """Issue what waited for a hold that is gone; True where more may be left."""
    async with service.db.acquire() as db, db.transaction():
        found = await store_cycles.held_back(db, CHUNK)
        held = await parking.held(db, sorted({household_id for _, household_id in found}))
        free = [(cycle_id, household_id) for cycle_id, household_id in found if household_id not in held]
        if not free:
            return False
        first = free[0][0]
        records = await issue(office, db, first, [each for cycle_id, each in free if cycle_id == first])
        written = await outbox.write(db, LIFT_LANE, records)
    await service.courier.bring(LIFT_LANE, written)
    return True


async def inquire(office: Office, service: Service) -> bool:
    """Payments whose partner said nothing in time are unknown, and it is asked; True where more may be."""
    now = datetime.now(UTC)
    async with service.db.acquire() as db, db.transaction():
        silent = await store_reports.next_reminder(db, now)
        if silent is None:
            return False
        written = await outbox.write(db, INQUIRE_LANE, await _ask(office, db, silent, now))
    await service.courier.bring(INQUIRE_LANE, written)
    return True


async def reissue(office: Office, service: Service) -> bool:
    """Ask about what failed and is due again, and try anew what is confirmed; True where more may be."""
    now = datetime.now(UTC)
    async with service.db.acquire() as db, db.transaction():
        due = await store_attempts.due(db, now, CHUNK)
        if not due:
            return False
        written = await outbox.write(db, REISSUE_LANE, await _again(office, db, due, now))
    await service.courier.bring(REISSUE_LANE, written)
    return True


async def issue(
    office: Office, db: Connection, cycle_id: str, household_ids: Sequence[str]
) -> Sequence[Record]:
    """Issue what waits of these households (sorted) in a cycle, or say why not yet; returns what to tell."""
    now = datetime.now(UTC)
    if not household_ids:
        return ()
    holds = await _screen(office, db, household_ids, now)
    # Holds, cycles, households: the order in which the stream locks them, too.
    held = await parking.held(db, household_ids)
    budgets = await store_envelopes.budgets(db, {cycle_id: len(household_ids)})
    for budget in budgets.values():
        if budget.pays_from_lists:
            budget.released = await store_payrolls.released(db, cycle_id, household_ids)
    periods = [budget.cycle.terms.period for budget in budgets.values()]
    households = await store.load(db, household_ids, periods)
    key_ids = [each.payee.key_id for each in households.values() if each.payee]
    keys = await keyring.load(db, office.master, key_ids)
    desk = office.desk(keys, budgets, await store_holds.held(db, household_ids))
    tried = [
        entitlements.retry(desk, each, cycle_id, held=each.household_id in held)
        for each in households.values()
    ]
    await write(office, db, tried, budgets.values(), now)
    return [*holds, *office.voice(now).of_households(tried, keys)]


async def _screen(
    office: Office, db: Connection, household_ids: Sequence[str], now: datetime
) -> Sequence[Record]:
    if office.screen is None:
        return ()
    waiting = await store_screening.payees(db, household_ids)
    keys = await keyring.load(db, office.master, [each.sealed.key_id for each in waiting])
    payees = screening_desk.kept(opener(keys), waiting)
    return await screening_desk.screen(office.screen, office.digest, db, payees, now)


async def _again(
    office: Office, db: Connection, due: Sequence[tuple[str, str, str]], now: datetime
) -> Sequence[Record]:
    household_ids = sorted({household_id for household_id, _, _ in due})
    holds = await _screen(office, db, household_ids, now)
    held = await parking.held(db, household_ids)
    budgets = await store_envelopes.budgets(db, Counter(cycle_id for _, cycle_id, _ in due))
    households = await store.load(db, household_ids, [period for _, _, period in due])
    wanted = await store_attempts.wanted(db, household_ids, now)
    key_ids = [each.payee.key_id for each in households.values() if each.payee]
    keys = await keyring.load(db, office.master, key_ids)
    desk = office.desk(keys, budgets, await store_holds.held(db, household_ids))
    tried: list[Tried] = []
    for household_id, asked in wanted.items():
        for each in asked:
            if each.cycle_id in budgets and each.key in households[household_id].payments:
                households[household_id], outcome = attempts.again(
                    desk, office.retrying, households[household_id], each, held=household_id in held
                )
                tried.append(outcome)
    changed = [each for each in households.values() if each.changes]
    await write(office, db, changed, budgets.values(), now)
    issued = [each.payment for some in changed for each in some.changes if isinstance(each, Issued)]
    await store_attempts.settle(db, tried, issued, office.retrying, now)
    return [*holds, *office.voice(now).of_households(changed, keys)]


async def _ask(
    office: Office, db: Connection, silent: Sequence[tuple[str, str]], now: datetime
) -> Sequence[Record]:
    payment_ids = sorted({payment_id for _, payment_id in silent})
    accounts = await store_reports.load(
        db, sorted({household_id for household_id, _ in silent}), payment_ids, ()
    )
    asked = []
    for account in accounts.values():
        unanswered = account
        for payment in account.payments.values():
            # A report may have come before the household was locked.
            if payment.due_at is not None and payment.due_at <= now:
                unanswered = states.unanswered(unanswered, payment.payment_id)
        if unanswered is not account:
            asked.append(unanswered)
    await store_reports.save(db, asked, now, office.patience)
    inquiries = [inquiry.payment for each in asked for inquiry in each.inquiries]
    open_ones = {each.partner for each in inquiries if each.inquiries >= pausing.UNANSWERED}
    await pausing.pause_silent(db, office.exchange, open_ones, now)
    return office.voice(now).of_accounts(asked)
