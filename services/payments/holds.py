"""Holds that people place on a household or an account, with a reason; another person lets go. Pure."""

import re
from dataclasses import dataclass, replace
from datetime import datetime

from contracts.household import Payee
from services.payments.approval import SamePerson
from services.payments.cycles import NotPossible

_SPACES = re.compile(r"[\s-]")
REASON = re.compile(r"[a-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True)
class Hold:
    """Who is not paid: a household, or whoever collects by an account; `reason` is a code.

    `released_list`: released for a wrong screening list (its version), so that nobody looked at the likeness.
    """

    hold_id: str
    household_id: str | None
    account_digest: str | None
    reason: str
    placed_by: str
    placed_at: datetime
    released_by: str | None = None
    released_at: datetime | None = None
    release_reason: str | None = None
    released_list: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of a batch's households, and every held account."""

    households: frozenset[str]
    accounts: frozenset[str]

    def holds(self, household_id: str, account_digest: str | None) -> bool:
        """Whether a payment to this household by this account must wait."""
        return household_id in self.households or account_digest in self.accounts


NOTHING_HELD = Held(frozenset(), frozenset())


def release(hold: Hold, by: str, reason: str, now: datetime, *, wrong_list: str | None = None) -> Hold:
    """Let go. Raises `SamePerson` to whoever placed it, `NotPossible` where it is released already."""
    if hold.released_at is not None:
        raise NotPossible(f"hold {hold.hold_id} is released already", "Nothing is left to do.")
    if hold.placed_by == by:
        raise SamePerson(f"{by} placed this hold and can't release it", "Ask another person who may approve.")
    return replace(hold, released_by=by, released_at=now, release_reason=reason, released_list=wrong_list)


def account_of(payee: Payee) -> str | None:
    """What the digest of a payee's account is taken of; None where cash is collected."""
    return named(payee.account.provider, payee.account.number) if payee.account else None


def named(provider: str, number: str) -> str:
    """A provider and a number as one text, spaces and dashes left out."""
    return f"{provider.lower()}/{_SPACES.sub('', number)}"
