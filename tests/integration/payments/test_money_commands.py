"""`tonle payments`, `corrections`, `ledger`, `holds` and `payrolls`, on the running service."""

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from contracts.payment import ReportStatus
from tests.integration.payments.conftest import CYCLE, PROGRAMME, Scene, family
from tests.integration.payments.test_commands import Tonle, tonle
from tests.integration.payments.test_reports import AMOUNT, issue
from tests.waiting import until

__all__ = ["tonle"]
pytestmark = pytest.mark.stack
WHY = ("--reason", "our mistake")


@pytest_asyncio.fixture
async def paid(scene: Scene) -> AsyncIterator[Scene]:
    """Of three households h-1 was paid 40,000 riel too much, the account of h-2 was closed, h-3 is open."""
    async with scene.running():
        told = await issue(scene, "h-1", "h-2", "h-3")
        failed = scene.report(told["h-2"], "h-2", ReportStatus.FAILED, reason_code="account-closed")
        await scene.send([scene.report(told["h-1"], "h-1", ReportStatus.SETTLED), failed])
        await scene.settled_down(states={"h-1": "settled", "h-2": "failed", "h-3": "issued"})
        one = family("h-1")
        await scene.send([scene.key(one), scene.scored(one, AMOUNT - 40_000, sequence=2, revision=2)])
        await until(lambda: scene.db.fetchval("select count(*) = 1 from correction"))
        yield scene


SHOWN: dict[tuple[str, ...], str] = {
    ("payments", "list"): f"\th-1\t{CYCLE}\t1\t{AMOUNT}\twing\tsettled\t",
    ("payments", "list", "--state", "failed"): "\twing\tfailed\taccount-closed\n",
    ("payments", "failed"): f"h-2\t{CYCLE}\t1\t{AMOUNT}\tfailed\taccount-closed\ttime\t",
    ("payments", "differences"): "nothing\n",
    ("corrections", "list"): f"h-1\t{PROGRAMME}\t-40000",
    ("corrections", "show", "h-1"): "\tsettled\t",
    ("corrections", "write-offs"): "nothing\n",
    ("ledger", "balances"): f"{CYCLE}\t-10000000\t{10_000_000 - 2 * AMOUNT}\t{AMOUNT}\t{AMOUNT}\t0\n",
    ("ledger", "balances", "--at", "2023-06-01T00:00:00+07:00"): "nothing\n",
    ("ledger", "entries", "h-2"): "release",
    ("holds", "list"): "nothing\n",
    ("holds", "screening"): "nothing\n",
    ("payrolls", "list", CYCLE): "nothing\n",
}
MISTAKES: dict[tuple[str, ...], str] = {
    ("payments", "reissue"): "Say --cycle CYCLE, or --household ID.",
    ("payments", "cancel", "h-1", "p-x", *WHY): "List them: tonle payments list.",
    ("payments", "cover", "h-1", "p-x", *WHY): "List them: tonle payments differences.",
    ("corrections", "write-off", "h-1", PROGRAMME, "--riel", "40100", *WHY): "tonle corrections show h-1",
    ("corrections", "approve", "h-1", PROGRAMME, *WHY): "List them: tonle corrections write-offs.",
    ("ledger", "balances", "--at", "yesterday"): "Write it like 2023-06-30T17:00:00+07:00.",
    ("holds", "place", "--reason", "fraud-suspicion"): "tonle holds place HOUSEHOLD --reason CODE",
    ("holds", "place", "--account", "wing", "--reason", "x"): "Write it as PROVIDER:NUMBER",
    ("holds", "release", "no-hold", "--reason", "cleared"): "List them: tonle holds list.",
    ("payrolls", "show", CYCLE, "1"): "See `tonle payrolls list CYCLE`.",
    ("payrolls", "freeze", CYCLE): "`tonle topics` shows how far that is.",
    ("cycles", "let-in", CYCLE, *WHY): "Nothing is left to do.",
}


async def test_what_became_of_money_is_told_to_pipes_and_as_json(paid: Scene, tonle: Tonle) -> None:
    for words, told in SHOWN.items():
        shown = await tonle("Sokha", *words)
        listed = await tonle("Sokha", *words, "--json")
        assert (shown.exit_code, listed.exit_code) == (0, 0), words
        assert told in shown.stdout, words
        assert isinstance(json.loads(listed.stdout), list | dict), words


async def test_a_mistake_about_money_ends_with_what_to_do_and_changes_nothing(
    paid: Scene, tonle: Tonle
) -> None:
    tables = ("payment", "posting", "payment_hold", "write_off", "payroll", "cycle_step")
    counts = [f"(select count(*) from {each})" for each in tables]
    before = await paid.db.fetchrow(f"select {', '.join(counts)}")
    for words, remedy in MISTAKES.items():
        refused = await tonle("Dara" if "approve" in words else "Sokha", *words)
        assert (refused.exit_code, remedy in " ".join(refused.output.split())) == (1, True), refused.output
    assert await paid.db.fetchrow(f"select {', '.join(counts)}") == before


async def test_people_hold_send_again_and_write_off_by_commands(paid: Scene, tonle: Tonle) -> None:
    async def done(who: str, *words: str) -> dict[str, object]:
        result = await tonle(who, *words, "--json")
        assert result.exit_code == 0, result.output
        found: dict[str, object] = json.loads(result.stdout)
        return found

    hold = await done("Sokha", "holds", "place", "h-2", "--reason", "fraud-suspicion")
    twice = await tonle("Sokha", "holds", "place", "h-2", "--reason", "fraud-suspicion")
    own = await tonle("Sokha", "holds", "release", str(hold["hold_id"]), "--reason", "cleared")
    assert (twice.exit_code, own.exit_code) == (1, 1)
    await done("Dara", "holds", "release", str(hold["hold_id"]), "--reason", "cleared")
    await done("Sokha", "payments", "reissue", "--household", "h-2")
    await until(lambda: paid.db.fetchval("select count(*) = 1 from payment where attempt = 2"))
    again = await done("Sokha", "payments", "reissue", "--household", "h-2")
    await done("Sokha", "corrections", "write-off", "h-1", PROGRAMME, "--riel", "40000", *WHY)
    assert (await tonle("Sokha", "corrections", "approve", "h-1", PROGRAMME, *WHY)).exit_code == 1
    await done("Dara", "corrections", "approve", "h-1", PROGRAMME, *WHY)
    assert (await tonle("Sokha", "corrections", "list")).stdout == "nothing\n"
    assert await paid.db.fetchval("select count(*) from payment") == 4, again
