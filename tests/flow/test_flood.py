"""A flood by command on a stack of its own: the donor's supplement stays inside its envelope."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import asyncpg
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from services.eligibility import programmes
from services.eligibility.suppression import shown
from tests.keys import give_master_key
from tests.waiting import until
from tonle import check, cli, generate, terminal
from tonle.demo_acts import APPROVER, PREPARER, Acts
from tonle.stack.postgres import SUPERUSER
from tonle.stack.supervisor import Stack, StackSettings

pytestmark = [pytest.mark.stack, pytest.mark.more]
HOUSEHOLDS, RIEL = 60, 600_000
WFP = Path(programmes.__file__).parent / "programmes" / "flood-supplement-wfp.yaml"
CYCLE = "flood-supplement-wfp-2020-11"
PATIENCE_S = 60.0


class Money(NamedTuple):
    """A cycle: riel committed and allowed, payments made, and households that wait for the envelope."""

    committed: int
    funded: int
    payments: int
    waiting: int


@dataclass
class Office:
    """People at their terminals, beside a running stack."""

    stack: Stack
    tokens: dict[str, str] = field(default_factory=dict)

    async def tonle(self, *words: str | Path, by: str = "", code: int = 0) -> str:
        """What `tonle` says, to whom; it must end with this code."""
        environment = {
            terminal.HOME_VARIABLE: str(self.stack.state.data_dir),
            terminal.TOKEN_VARIABLE: self.tokens.get(by, ""),
        }
        arguments = list(map(str, words))
        ran = await asyncio.to_thread(CliRunner().invoke, cli.build(arguments), arguments, env=environment)
        assert ran.exit_code == code, ran.output
        return ran.stdout if code == 0 else ran.stderr

    async def fetch(self, service: str, query: str) -> list[asyncpg.Record]:
        dsn = self.stack.state.postgres.dsn[SUPERUSER].rpartition("/")[0] + f"/{service}"
        db = await asyncpg.connect(dsn)
        try:
            return await db.fetch(query)
        finally:
            await db.close()

    async def money(self) -> Money:
        found = json.loads(await self.tonle("cycles", "show", CYCLE, "--json"))
        waiting = {each["reason"]: each["households"] for each in found["waiting"]}
        committed = found["funded"] - found["room"]
        return Money(committed, found["funded"], found["payments"], waiting.get("envelope", 0))


@pytest_asyncio.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    """Sample households on a fresh stack, and a cycle of the donor's supplement that can pay three."""
    file = tmp_path / "households.csv"
    generate.write(file, households=HOUSEHOLDS, seed=5)
    settings = StackSettings(data_dir=tmp_path / "stack", durable=False, partitions=2)
    give_master_key(settings.data_dir, 5)
    async with Stack(settings) as stack, Acts(stack.state) as acts:
        await acts.let_in()
        at = Office(stack, acts.tokens)
        said = json.loads(await at.tonle("shock", "people", "Sokha", "--json"))
        at.tokens["Sokha"] = said["token"]
        terms = ("--envelope", str(3 * RIEL), "--cap-household", str(RIEL), "--cap-payments", "1000")
        opened = ("cycles", "open", "flood-supplement-wfp", "2020-11", "--reference-date", "2020-11-15")
        await at.tonle(*opened, *terms, by=PREPARER)
        await at.tonle("cycles", "submit", CYCLE, by=PREPARER)
        await at.tonle("cycles", "approve", CYCLE, by=APPROVER)
        await acts.upload(file)
        yield at


async def eligible(office: Office) -> int:
    """Households that the donor's programme entitles."""
    query = "select count(*) from decision where programme = 'flood-supplement-wfp' and outcome = 'eligible'"
    (row,) = await office.fetch("eligibility", query)
    return int(row[0])


async def registered(office: Office) -> bool:
    """Whether all of the file is registered, and decided for the cycle."""
    finished = await office.fetch("registration", "select 1 from import where state = 'finished'")
    (here,) = await office.fetch("registration", "select count(*) from household")
    (there,) = await office.fetch("eligibility", "select count(*) from decision where cycle_id is not null")
    return bool(finished) and 0 < here[0] == there[0]


async def declared(office: Office, file: Path) -> dict[str, str]:
    return dict(json.loads(await office.tonle("shock", "declare", file, "--json", by="Sokha")))


async def refused(office: Office, file: Path, communes: list[str]) -> None:
    """Who may not, or names a commune that is not, is told so; the file is right afterwards."""
    content = f"name: flood-2020\nkind: flood\ncommunes: {json.dumps([*communes, '010299'])}\n"
    file.write_text(f"{content}dates: {{first: 2020-10-05, last: null}}\n")
    said = await office.tonle("shock", "declare", file, by="Sokha", code=1)
    assert "flood.yaml:3: no commune has the code 010299; correct it: those of district 0102 run" in said
    file.write_text(file.read_text().replace(', "010299"', ""))
    assert "takes `shock.declare`" in await office.tonle("shock", "declare", file, code=1)


async def gaining(office: Office, file: Path) -> int:
    """Households that the lab sees gain, on the cycle's day, from a supplement of 700,000 riel."""
    text = WFP.read_text()
    file.write_text(
        text.replace("riel: 600_000", "riel: 700_000").replace("amount: 600_000", "amount: 700_000")
    )
    said = json.loads(await office.tonle("simulate", file, "--until", "2020-11-15", "--json"))
    (day,) = said["days"]
    return int(day["gaining"]["households"] or 0)


async def test_the_donors_supplement_stays_inside_its_envelope_and_ends_with_the_flood(
    office: Office, tmp_path: Path
) -> None:
    await until(lambda: registered(office), PATIENCE_S)
    assert await eligible(office) == 0
    file = tmp_path / "flood.yaml"
    lived_in = await office.fetch("eligibility", "select distinct commune from registration order by 1")
    flooded = [row[0] for row in lived_in[: len(lived_in) // 2]]
    await refused(office, file, flooded)
    said = await declared(office, file)
    assert (said["state"], said["seen"]) == ("finished", said["households"])
    entitled = await eligible(office)
    assert entitled > 5

    async def settled(payments: int, funded: int, waiting: int) -> bool:
        return await office.money() == Money(payments * RIEL, funded, payments, waiting)

    await until(lambda: settled(3, 3 * RIEL, entitled - 3), PATIENCE_S)
    await office.tonle("cycles", "fund", CYCLE, "--envelope", str(6 * RIEL - 1), by=PREPARER)
    await office.tonle("cycles", "approve", CYCLE, by=APPROVER)
    await until(lambda: settled(5, 6 * RIEL - 1, entitled - 5), PATIENCE_S)
    assert await gaining(office, tmp_path / WFP.name) == shown(entitled)
    homes = await office.fetch("eligibility", "select household_id, commune from registration")
    paid = {row[0] for row in await office.fetch("payments", "select household_id from payment")}
    assert {row["commune"] for row in homes if row["household_id"] in paid} <= set(flooded)
    assert (await declared(office, file))["declared_at"] == said["declared_at"]
    await office.tonle("shock", "end", "flood-2020", "--on", "2020-11-15", by="Sokha")
    await until(lambda: settled(5, 6 * RIEL - 1, 0), PATIENCE_S)
    assert await eligible(office) == await gaining(office, tmp_path / WFP.name) == 0
    assert "flood-2020\tflood\t2020-10-05\t-\t2020-11-15\tfinished" in await office.tonle("shock", "list")
    assert "ended_by\tSokha" in await office.tonle("shock", "show", "flood-2020")
    assert "differs\t0\nforgotten\t0\nmissing\t0" in await office.tonle("recompute")
    await until(lambda: passes(office), PATIENCE_S)


async def passes(office: Office) -> bool:
    """Whether nothing is lost, doubled or differs by anybody's books, the shock and its end included."""
    audit = await check.audit(office.stack.state)
    shocks = [(each.left, each.right) for each in audit.findings if "shock" in each.comparison.name]
    return audit.passed and shocks == [(1, 1), (1, 1)]
