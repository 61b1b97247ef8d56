"""The audit as a table: who must say the same as whom."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tonle.checking.facts import Facts
from tonle.stack.topics import SERVED

Kind = Literal["lost", "doubled", "differs"]
_STATES, _CORRECTIONS = "payment.updated.v1: states", "payment.updated.v1: corrections"
_STEPS = "payment.updated.v1: steps told"
_KEYS, _PAYEES_KEYS = "household keys, latest", "household keys: payees"


@dataclass(frozen=True)
class Comparison:
    """Each key of `left` must be in `right` just as often, with the same value.

    A household of a source in `seen_in` is set aside visibly there, so that it is no loss.
    """

    name: str
    left: str
    right: str
    seen_in: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """One key on which two records do not agree; values are codes and riel, never persons."""

    kind: Kind
    household: str
    key: str
    left: str
    right: str


@dataclass
class Finding:
    """What one comparison found. `set_aside`: not there yet, and visibly parked or held."""

    comparison: Comparison
    left: int
    right: int
    set_aside: int = 0
    differences: list[Difference] = field(default_factory=list)
    lost: int = 0
    doubled: int = 0
    differing: int = 0


COMPARISONS = (
    Comparison("each revision of a household was told", "registration: revisions", "household.registered.v1"),
    Comparison("each exit was told", "registration: exits", "household.exited.v1"),
    Comparison("each household key was told", "registration: keys", _KEYS),
    Comparison(
        "eligibility knows each key",
        _KEYS,
        "eligibility: keys",
        ("eligibility: parked",),
    ),
    Comparison("payments knows each payee's key", _PAYEES_KEYS, "payments: keys", ("payments: parked",)),
    Comparison(
        "notifications knows each payee's key",
        _PAYEES_KEYS,
        "notifications: keys",
        ("notifications: parked",),
    ),
    Comparison(
        "eligibility knows each household as last told",
        "household.registered.v1, latest",
        "eligibility: households",
        ("eligibility: parked",),
    ),
    Comparison("each shock was told", "eligibility: shocks", "shock.declared.v1"),
    Comparison("each shock's end was told", "eligibility: shocks ended", "shock.ended.v1, latest"),
    Comparison("each decision was told", "eligibility: decisions made", "eligibility.scored.v1"),
    Comparison(
        "each household's latest decisions were told",
        "eligibility: decisions",
        "eligibility.scored.v1, latest",
    ),
    Comparison("each referral and withdrawal was told", "eligibility: referrals", "referral.made.v1"),
    Comparison(
        "payments has each household's latest decisions",
        "eligibility.scored.v1, latest",
        "payments: decisions",
        ("payments: parked", "payments: void"),
    ),
    Comparison(
        "each entitlement is paid once, or visibly waits or failed",
        "payments: entitlements",
        "payments: paid, waiting or failed",
    ),
    Comparison("each payment was told", "payments: payments", "payment.issued.v1"),
    Comparison("each payment's state was told", "payments: states", _STATES),
    Comparison("each correction was told", "payments: corrections", _CORRECTIONS),
    Comparison("each payment was instructed once", "payments: instructions", "partner instructions"),
    Comparison("the partner has each payment once", "payment.issued.v1", "partners: payments"),
    Comparison("the partner paid what we hold settled", "payments: settled", "partners: paid"),
    Comparison(
        "each partner report was booked", "partner reports", "payments: reports", ("payments: parked",)
    ),
    Comparison(
        "notifications knows each payment",
        "payment.issued.v1: payments",
        "notifications: payments",
        ("notifications: parked",),
    ),
    Comparison(
        "each step of a payment has one SMS, or none for a reason",
        _STEPS,
        "notifications: payments told",
        ("notifications: parked",),
    ),
    Comparison("each SMS sent was told", "notifications: sent", "sms.sent.v1"),
    Comparison("each SMS outcome was told", "notifications: outcomes", "sms.updated.v1: last words"),
    Comparison(
        "each SMS reached the gateway once", "notifications: handed over", "gateway inbox: not in doubt"
    ),
)
"""Told by whom, heard by whom: from the registrar's book to the household's telephone."""

_SMS_ID = "substr(key, length(household) + 2)"  # the gateway knows an SMS by this alone
_DERIVED = {
    _KEYS: """select * from "household.key.v2, latest" union all select * from "household.key.v1, latest"
        where key not in (select key from "household.key.v2")""",
    _PAYEES_KEYS: f"""select * from "{_KEYS}" where value like 'payee %'""",  # noqa: S608
    _STATES: """select * from "payment.updated.v1, latest" where key not like '%/corrected'""",
    _CORRECTIONS: """select * from "payment.updated.v1" where key like '%/corrected'""",
    # Accepted, asked about and accepted again is one step.
    _STEPS: """select distinct household, key || '/payment-' || case substr(value, 1, instr(value, ' ') - 1)
            when 'accepted' then 'ready' when 'settled' then 'paid' when 'expired' then 'expired'
            else 'failed' end as key, '' as value
        from "payment.updated.v1" where key not like '%/corrected'
            and substr(value, 1, instr(value, ' ') - 1) not in ('unknown', 'cancelled', 'settled_late')""",
    "payment.issued.v1: payments": """select household, key, '' as value from "payment.issued.v1" """,
    # Who was taken for dead while it sent may still say so: then `unknown` was not the last word.
    "sms.updated.v1: last words": """select * from "sms.updated.v1, latest"
        where key not in (select key from "sms.sent.v1")""",
    "notifications: handed over": f'select household, {_SMS_ID} as key, value from "notifications: sent"',  # noqa: S608
    "gateway inbox: not in doubt": f"""select * from "gateway inbox"
        where key not in (select {_SMS_ID} from "notifications: in doubt")""",  # noqa: S608
}


def derive(facts: Facts, partners: Sequence[str]) -> None:
    """Sources that are made of others; what is said to and by all partners becomes one source each."""
    for name, kind in (("partner instructions", "instruction"), ("partner reports", "report")):
        who = (*partners, *SERVED) if kind == "instruction" else partners
        each = (f'select household, key, value from "partner.{partner}.{kind}.v1"' for partner in who)  # noqa: S608
        facts.derive(name, " union all ".join(each))
    for name, told in (
        ("partners: payments", ("partner ledger", "payments: told to banks")),
        ("partners: paid", ("partner ledger: paid", "payments: banks settled")),
    ):
        each = (f'select household, key, value from "{source}"' for source in told)  # noqa: S608
        facts.derive(name, " union all ".join(each))
    for name, query in _DERIVED.items():
        facts.derive(name, query)


def compare(facts: Facts, comparison: Comparison) -> Finding:
    """Merge two sources by key; what does not pair up is lost, doubled or differs."""
    left, right = comparison.left, comparison.right
    finding = Finding(comparison, facts.count(left), facts.count(right))
    for household, key, here, there, said, heard, aside in facts.ask(_pairs(comparison)):
        if int(str(there)) < int(str(here)) and aside:
            finding.set_aside += 1
            continue
        kind = _kind(int(str(here)), int(str(there)))
        finding.lost += kind == "lost"
        finding.doubled += kind == "doubled"
        finding.differing += kind == "differs"
        finding.differences.append(
            Difference(kind, str(household), str(key), _side(here, said), _side(there, heard))
        )
    return finding


def _kind(here: int, there: int) -> Kind:
    if there < here:
        return "lost"
    return "doubled" if there > here else "differs"


def _side(times: object, value: object) -> str:
    count = int(str(times))
    if not count:
        return "not there"
    return (f"{count} times " if count > 1 else "") + (str(value) or "there")


def _pairs(comparison: Comparison) -> str:
    """Keys that are not on both sides alike. One external sort; no index, no row of either side in memory."""
    aside = " or ".join(f'household in (select household from "{each}")' for each in comparison.seen_in)  # noqa: S608
    return f"""
        select max(household) as household, key, sum(side = 0) as here, sum(side = 1) as there,
               max(case side when 0 then value end) as said, max(case side when 1 then value end) as heard,
               {f"max({aside})" if aside else "0"} as aside
        from (select household, key, value, 0 as side from "{comparison.left}"
              union all select household, key, value, 1 from "{comparison.right}")
        group by key having here <> there or said <> heard order by key"""  # noqa: S608


def out_of_order(facts: Facts, topics: Sequence[str]) -> list[Difference]:
    """First copies of events whose sequence does not rise within their aggregate on one topic."""
    found = []
    for topic in topics:
        query = f"""
            select household, event_id, before, sequence from (
                select household, event_id, sequence, place, about,
                       lag(sequence) over (partition by about order by place) as before
                from (select distinct household, event_id, sequence, place, about from "{topic}"))
            where before >= sequence order by household"""  # noqa: S608
        found += [
            Difference("differs", str(household), f"{topic} {event}", f"after {before}", f"came {sequence}")
            for household, event, before, sequence in facts.ask(query)
        ]
    return found
