"""What each database and each simulator holds, as facts. The only place that may read every database.

One query per source, so that an auditor can read what is compared: ids, codes and riel, never persons.
"""

import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from contracts import topics, wire
from tonle.checking.facts import ROWS_AT_ONCE, Fact, Facts

SERVICES = ("registration", "eligibility", "payments", "notifications")
_DECIDED = "coalesce(cycle_id, 'no cycle') || ' ' || outcome || ' ' || amount || ' riel'"
_BY_BANK = (
    "exists (select from outgoing o where o.household_id = r.household_id and o.payment_id = r.payment_id)"
)
_SHOCK = "(select name as household_id, * from shock) as shock"
_DECLARED = (
    "kind || ' ' || cardinality(communes) || ' communes ' || first_day || ' to ' || "
    "coalesce(last_day::text, 'its end')"
)
_LIVE = "state in ('issued', 'accepted', 'settled', 'unknown')"


@dataclass(frozen=True)
class Kept:
    """A source in one database: facts keyed by household and `key`, with `value`, of these rows.

    Its name begins with the service's: `<service>: <what>`.
    """

    name: str
    of: str
    key: str = ""
    value: str = "''"

    @property
    def database(self) -> str:
        return self.name.partition(":")[0]

    @property
    def query(self) -> str:
        """SQL of the auditor; every part is a constant of this file."""
        key = f"concat_ws('/', household_id, {self.key})" if self.key else "household_id"
        return f"select household_id, {key}, {self.value} from {self.of}"  # noqa: S608


# A receipt is the last word, where one came.
_OUTCOME = "case when receipt in ('delivered', 'failed') then receipt else state end"
_ENTITLEMENT = "household_id, programme, period, purpose"
KEPT = (
    Kept("registration: revisions", "every_change where kind <> 'exited'", value="'revision ' || revision"),
    Kept("registration: exits", "every_change where kind = 'exited'", "revision"),
    *(Kept(f"{service}: keys", "household_key", "key_id", "purpose || ' ' || state") for service in SERVICES),
    Kept("eligibility: households", "household where revision > 0", value="'revision ' || revision"),
    Kept("eligibility: shocks", _SHOCK, value=_DECLARED),
    Kept("eligibility: shocks ended", f"{_SHOCK} where ended_on is not null", value="'on ' || ended_on"),
    Kept("eligibility: decisions made", "every_decision", "programme", _DECIDED),
    Kept("eligibility: decisions", "decision", "programme", _DECIDED),
    Kept(
        "eligibility: referrals",
        "(select household_id, number, 'made' as state from referral union all select household_id,"
        " withdrawn_number, 'withdrawn' from referral where withdrawn_number is not null) as told",
        "number",
        "state",
    ),
    Kept(
        "payments: decisions",
        # What sensitive programmes decided is told sealed.
        "every_decision join household using (household_id, decision_id) where outcome <> 'void'"
        " and programme <> 'social-transfer'",
        "programme",
        _DECIDED,
    ),
    Kept("payments: void", "decision where outcome = 'void'", "programme"),
    Kept(
        "payments: entitlements",
        f"(select {_ENTITLEMENT} from every_decision where outcome = 'eligible' and cycle_id is not null"  # noqa: S608
        f" union select {_ENTITLEMENT} from payment) as entitlement",
        "programme, period, purpose",
    ),
    Kept(
        "payments: paid, waiting or failed",
        f"(select {_ENTITLEMENT} from payment where {_LIVE}"  # noqa: S608
        f" union all select {_ENTITLEMENT} from decision where waiting is not null"
        f" union all select {_ENTITLEMENT} from payment group by {_ENTITLEMENT} having not bool_or({_LIVE}))"
        " as entitlement",
        "programme, period, purpose",
    ),
    Kept("payments: payments", "payment", "payment_id", "amount || ' riel by ' || partner"),
    Kept(
        "payments: states",
        "payment where state <> 'issued'",
        "payment_id",
        "state || ' ' || amount || ' riel'",
    ),
    Kept(
        "payments: settled",
        "payment where state in ('settled', 'settled_late')",
        "payment_id",
        "amount || ' riel'",
    ),
    Kept("payments: corrections", "correction", "payment_id, 'corrected'", "amount || ' riel'"),
    Kept(
        "payments: reports",
        f"report r where not {_BY_BANK}",
        "report_id",
        "status || ' ' || amount || ' riel'",
    ),
    Kept(
        "payments: told to banks",
        "outgoing where kind = 'pay'",
        "payment_id",
        "amount || ' riel by ' || partner",
    ),
    Kept(
        "payments: banks settled",
        f"report r where status = 'settled' and {_BY_BANK} and not exists (select from report later "
        "where later.household_id = r.household_id and later.payment_id = r.payment_id "
        "and later.status = 'returned')",
        "payment_id",
        "amount || ' riel'",
    ),
    Kept(
        "notifications: payments told",
        "(select household_id, payment_id, template from sms"
        " where payment_id is not null and template <> 'payment-reminder' union"
        " select household_id, payment_id, string_to_table(nullif(steps_off, ''), ' ') from payment) step",
        "payment_id, template",
    ),
    Kept("notifications: payments", "payment where programme is not null", "payment_id"),
    Kept("notifications: sent", "sms where state = 'sent'", "sms_id"),
    Kept("notifications: in doubt", "sms where state = 'unknown'", "sms_id"),
    Kept("notifications: outcomes", "sms where state in ('failed', 'unknown')", "sms_id", _OUTCOME),
)

INSTRUCTIONS = "payments: instructions"
_INSTRUCTED = "select household_id, payment_id, partner || ' ' || inquiries || ' ' || cancels from payment"
_PARKED = """select split_part(coalesce(key, ''), '/', 1), topic || '/' || partition || '/' || "offset",
    reason from (select key, topic, partition, "offset", reason from parked
        union all select key, topic, partition, "offset", reason from dismissed) aside"""


@dataclass(frozen=True)
class Rule:
    """What must hold within one database; `query` gives one line of text per breach."""

    name: str
    database: str
    query: str


RULES = (
    Rule(
        "postings sum to zero, per cycle and payment",
        "payments",
        "select cycle_id || ' ' || subject || ': ' || sum(amount) || ' riel' from posting"
        " group by cycle_id, subject having sum(amount) <> 0",
    ),
    Rule(
        "committed minus released stays within the envelope",
        "payments",
        "select cycle_id || ': ' || committed - released || ' of ' || funded || ' riel'"
        " from cycle join spent using (cycle_id) where committed - released > funded",
    ),
    Rule(
        "each cycle's totals are the sums of its postings",
        "payments",
        "select c.cycle_id || ': totals differ from postings'"
        " from cycle c join spent s using (cycle_id) left join ("
        " select cycle_id, sum(amount) filter (where kind = 'fund') as funded,"
        " sum(amount) filter (where kind in ('issue', 'cover')) as committed,"
        " sum(amount) filter (where kind in ('release', 'return')) as released"
        " from every_transfer group by cycle_id) t using (cycle_id)"
        " where (c.funded, s.committed, s.released)"
        " <> (coalesce(t.funded, 0), coalesce(t.committed, 0), coalesce(t.released, 0))",
    ),
    Rule(
        "each donor's riel are within what it gave, and those its postings moved",
        "payments",
        "select f.cycle_id || ' fund ' || f.number || ': ' || coalesce(s.used, 0) || ' riel of ' || f.amount"
        " || ', ' || coalesce(t.used, 0) || ' by its postings' from fund f left join ("
        " select cycle_id, fund, sum(committed - released) as used from sub_envelope group by 1, 2) s"
        " on s.cycle_id = f.cycle_id and s.fund = f.number left join ("
        " select cycle_id, fund,"
        " sum(case when kind in ('issue', 'cover') then amount else -amount end) as used"
        " from fund_transfer where kind in ('issue', 'cover', 'release', 'return') group by 1, 2) t"
        " on t.cycle_id = f.cycle_id and t.fund = f.number"
        " where coalesce(s.used, 0) > f.amount or coalesce(s.used, 0) <> coalesce(t.used, 0)",
    ),
    Rule(
        "each payment was posted with its amount",
        "payments",
        "select p.household_id || '/' || p.payment_id || ': ' || coalesce(t.amount, 0) || ' riel posted'"
        " from payment p left join every_transfer t on t.household_id = p.household_id"
        " and t.subject = p.payment_id and t.kind = 'issue' where t.amount is distinct from p.amount",
    ),
    Rule(
        "one live or settled payment per entitlement",
        "payments",
        "select household_id || '/' || programme || '/' || period || '/' || purpose || ': ' || count(*)"
        " from payment where state in ('issued', 'accepted', 'settled', 'unknown')"
        " group by household_id, programme, period, purpose having count(*) > 1",
    ),
    Rule(
        "what is owed to partners settled late, and was neither returned nor covered",
        "payments",
        "select p.household_id || '/' || p.payment_id || ': ' || coalesce(t.owed, 0) || ' riel owed'"
        " from payment p"
        " left join (select household_id, subject, sum(amount) as owed from posting where account = 'owed'"
        " group by 1, 2) t on t.household_id = p.household_id and t.subject = p.payment_id"
        " left join difference d on d.household_id = p.household_id and d.payment_id = p.payment_id"
        " and d.resolution = 'covered'"
        " where (p.late or t.owed is not null) and coalesce(t.owed, 0) <> case"
        " when not p.late then 0 when p.state not in ('settled', 'settled_late') then"
        " case when d.resolution is null then 0 else p.amount end"
        " when d.resolution is null then -p.amount else 0 end",
    ),
    Rule(
        "a live payment and its corrections make what is due",
        "payments",
        "select p.household_id || '/' || p.payment_id || ': ' || p.amount - p.carried + coalesce(c.amount, 0)"  # noqa: S608
        " || ' riel promised, ' || d.due || ' due' from payment p"
        " join (select household_id, programme, cycle_id, case outcome when 'eligible' then amount else 0 end"
        " as due from every_decision where outcome <> 'void') d using (household_id, programme, cycle_id)"
        " left join (select household_id, payment_id, sum(amount) as amount from correction group by 1, 2) c"
        f" using (household_id, payment_id) where p.{_LIVE}"
        " and p.amount - p.carried + coalesce(c.amount, 0) <> d.due",
    ),
    *(
        Rule(
            f"{service}: nothing is left unpublished",
            service,
            "select lane || ': ' || sum(message_count) || ' messages' from outbox"
            " where published_at is null group by lane",
        )
        for service in SERVICES
    ),
)


@asynccontextmanager
async def auditor(dsn: str, database: str) -> AsyncIterator[asyncpg.Connection]:
    """The read-only auditor in one database; `dsn` is any of the auditor's."""
    db = await asyncpg.connect(f"{dsn.rpartition('/')[0]}/{database}", command_timeout=600)
    try:
        yield db
    finally:
        await db.close()


async def read(facts: Facts, dsn: str) -> None:
    """Every source of every database into `facts`, streamed; each database at one moment."""
    for service in SERVICES:
        async with auditor(dsn, service) as db, db.transaction(isolation="repeatable_read", readonly=True):
            for kept in KEPT:
                if kept.database == service:
                    await _keep(facts, kept.name, db, kept.query)
            await _keep(facts, f"{service}: parked", db, _PARKED)
            if service == "payments":
                facts.keep(INSTRUCTIONS, [])
                async for rows in _streamed(db, _INSTRUCTED):
                    facts.keep(INSTRUCTIONS, (fact for row in rows for fact in _instructions(row)))


def read_simulators(facts: Facts, data_dir: Path, partners: Sequence[str]) -> None:
    """The outside world's own records: each partner's ledger and the SMS gateway's inbox."""
    for source, books in _simulators(partners).items():
        facts.keep(source, [])
        for file, query in books:
            with closing(sqlite3.connect(f"file:{data_dir / file}?mode=ro", uri=True)) as db:
                facts.keep(source, (Fact(*row) for row in db.execute(query)))


def sources(partners: Sequence[str]) -> list[str]:
    """Every source that databases and simulators fill."""
    kept = [each.name for each in KEPT] + [f"{service}: parked" for service in SERVICES]
    return [*kept, INSTRUCTIONS, *_simulators(partners)]


async def breaches(dsn: str) -> dict[str, list[str]]:
    """Each rule's name with what breaks it."""
    found: dict[str, list[str]] = {}
    for database in sorted({rule.database for rule in RULES}):
        async with auditor(dsn, database) as db:
            for rule in RULES:
                if rule.database == database:
                    found[rule.name] = [row[0] for row in await db.fetch(rule.query)]
    return found


async def _keep(facts: Facts, source: str, db: asyncpg.Connection, query: str) -> None:
    facts.keep(source, [])
    async for rows in _streamed(db, query):
        facts.keep(source, rows)


async def _streamed(db: asyncpg.Connection, query: str) -> AsyncIterator[list[Fact]]:
    cursor = await db.cursor(query)
    while rows := await cursor.fetch(ROWS_AT_ONCE):
        yield [Fact(*row) for row in rows]


def _instructions(payment: Fact) -> Iterator[Fact]:
    """Instruction ids follow from the payment (`key`): one order, and one more per question or request."""
    partner, inquiries, cancels = payment.value.rsplit(" ", 2)
    topic = topics.partner_instruction(partner)
    asked = (("inquire", int(inquiries)), ("cancel", int(cancels)))
    for kind, number in [("pay", 0), *((kind, each + 1) for kind, most in asked for each in range(most))]:
        instruction = wire.event_id(topic, payment.key, kind, number)
        yield Fact(payment.household, f"{payment.household}/{instruction}")


def _simulators(partners: Sequence[str]) -> dict[str, list[tuple[str, str]]]:
    """Source -> (file, query) of each simulator. An SMS the gateway took twice counts twice: it kept one."""
    copies = (
        "with recursive copy (sms_id, number) as (select sms_id, copies from sms"
        " union all select sms_id, number - 1 from copy where number > 1) select '', sms_id, '' from copy"
    )
    ledger = "select household_id, household_id || '/' || payment_id, amount || ' riel by {}' from payment"
    paid = "select household_id, household_id || '/' || payment_id, amount || ' riel' from payment"
    files = {name: f"partner-{name}.sqlite" for name in partners}
    return {
        "gateway inbox": [("gateway.sqlite", copies)],
        "partner ledger": [(file, ledger.format(name)) for name, file in files.items()],
        "partner ledger: paid": [(file, f"{paid} where state = 'settled'") for file in files.values()],
    }
