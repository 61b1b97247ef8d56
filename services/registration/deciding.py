"""What follows when a person decides about two households that look like one, and when they take it back."""

from typing import Literal

from contracts import wire
from contracts.household import ExitReason, Payee, Persons
from postbox.callers import Caller
from postbox.problems import Problem
from services.registration import store, store_duplicates
from services.registration.desk import Desk
from services.registration.forms import form_of
from services.registration.store_duplicates import Decision, Found

Verdict = Literal["same", "moved", "different"]
"""The same household twice: the later registration exits. It moved: the first one exits. Two households."""


async def decide(desk: Desk, pair_id: int, verdict: Verdict, revisions: tuple[int, int]) -> Found:
    """Decide about a pair as it was looked at: `revisions` of its first and its later household.

    The same decision again changes nothing; another one must be undone first.
    """
    pair = await _locked(desk, pair_id)
    if pair.decision == verdict:
        return pair
    if pair.decision is not None:
        raise Problem(409, f"The pair was decided already: {pair.decision}", "Undo that decision first.")
    await _check(desk, pair, revisions)
    decision = Decision(verdict, desk.caller.name, desk.at)
    if verdict == "same":
        decision = await _leave(desk, decision, pair.later_household_id, ExitReason.DUPLICATE)
    elif verdict == "moved":
        decision = await _leave(desk, decision, pair.first_household_id, ExitReason.MOVED)
    await store_duplicates.decide(desk.db, pair_id, decision)
    return await _locked(desk, pair_id)


async def undo(desk: Desk, pair_id: int) -> Found:
    """Take the decision back; the household that exited for it is registered again as it was."""
    pair = await _locked(desk, pair_id)
    if pair.decision is None:
        return pair
    last = (await store_duplicates.decisions(desk.db, pair_id))[-1]
    if last.exited_household_id is not None:
        await _register_again(desk, last.exited_household_id, last.exit_revision)
    await store_duplicates.decide(desk.db, pair_id, Decision("undone", desk.caller.name, desk.at))
    return await _locked(desk, pair_id)


async def _locked(desk: Desk, pair_id: int) -> Found:
    await store_duplicates.lock(desk.db, pair_id)
    return within(await store_duplicates.find(desk.db, pair_id), desk.caller)


async def _check(desk: Desk, pair: Found, revisions: tuple[int, int]) -> None:
    """Both households, locked in one order, are registered and as they were looked at."""
    looked_at = dict(zip((pair.first_household_id, pair.later_household_id), revisions, strict=True))
    for household_id in sorted(looked_at):
        await store.lock(desk.db, household_id)
        kept = await store.find(desk.db, household_id)
        if kept is None or kept.exited:
            raise Problem(409, "A household of the pair is registered no more", "There is nothing to decide.")
        if kept.registration.revision != looked_at[household_id]:
            raise Problem(
                409,
                "A household of the pair was changed meanwhile",
                "Look at the pair again, then decide.",
                household_id=household_id,
                current_revision=kept.registration.revision,
            )


async def _leave(desk: Desk, decision: Decision, household_id: str, reason: ExitReason) -> Decision:
    receipt = await desk.leave(household_id, reason)
    return decision._replace(exited_household_id=household_id, exit_revision=receipt.revision)


async def _register_again(desk: Desk, household_id: str, exit_revision: int | None) -> None:
    await store.lock(desk.db, household_id)
    kept = await store.find(desk.db, household_id)
    if kept is None or not kept.exited or kept.registration.revision != exit_revision:
        # It came back since, and maybe left for another reason: that stands.
        return
    found = kept.registration
    persons, payee = wire.load(Persons, found.persons), wire.load(Payee, found.payee)
    await desk.revise(household_id, found.revision, form_of(found.reference, found.level, persons, payee))


def within(pair: Found | None, caller: Caller) -> Found:
    """A pair of which both households lie in the caller's area; else it is not told that there is one."""
    if pair is None or not (caller.covers(pair.first_commune) and caller.covers(pair.later_commune)):
        raise Problem(404, "No such pair in your area", "List the pairs to find its number.")
    return pair
