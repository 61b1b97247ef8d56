"""The sample of the partner kit, against payments on the real stack; and `contracts/` installed alone."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from contracts.payment import InstructionKind
from tests.integration.payments.conftest import Scene, family
from tests.waiting import until

pytestmark = pytest.mark.stack
ROOT = Path(__file__).parents[3]
SAMPLE = ROOT / "docs" / "partner-kit" / "partner.py"
AMOUNT = 176_000


@asynccontextmanager
async def partner(scene: Scene, books: Path) -> AsyncIterator[None]:
    configuration = books.with_suffix(".json")
    configuration.write_text(json.dumps(settings(scene, books)))
    process = await asyncio.create_subprocess_exec(sys.executable, str(SAMPLE), str(configuration))
    try:
        yield
        assert process.returncode is None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


def settings(scene: Scene, books: Path) -> Mapping[str, object]:
    return {
        "name": "wing",
        "topic_prefix": scene.settings.topic_prefix,
        "keys": str(scene.secrets.folder),
        "books": str(books),
        "kafka": {
            "bootstrap_servers": str(scene.settings.kafka),
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "SCRAM-SHA-256",
            "sasl_plain_username": "partner-wing",
            "sasl_plain_password": scene.secrets.kafka_password_file("partner-wing").read_text().strip(),
        },
    }


async def test_the_sample_partner_pays_catches_up_after_a_kill_and_reports(
    scene: Scene, tmp_path: Path
) -> None:
    first, *later = (family(f"h-{number:02}") for number in range(20))
    async with scene.running():
        await scene.open_cycle()
        await scene.approve()
        await scene.send([scene.key(first), scene.scored(first, AMOUNT)])
        async with partner(scene, tmp_path / "books"):
            await scene.settled_down(states={"h-00": "settled"}, parked=[])
        await scene.send(scene.key(each) for each in later)
        await scene.send(scene.scored(each, AMOUNT) for each in later)
        issued = {each.household_id: "issued" for each in later}
        await scene.settled_down(states={"h-00": "settled"} | issued)
        async with partner(scene, tmp_path / "books"):
            await scene.settled_down(states={"h-00": "settled"} | dict.fromkeys(issued, "settled"), parked=[])
        told = await scene.instructions()
        assert {each.kind for _, each in told} == {InstructionKind.PAY}
        assert len(await scene.on("partner.wing.instruction.v1")) < len(told) == 20
        assert (await scene.balances())["paid"] == 20 * AMOUNT


async def test_the_sample_partner_answers_an_inquiry_and_pays_nothing_again(
    scene: Scene, tmp_path: Path
) -> None:
    scene.settings = scene.settings.model_copy(update={"report_timeout_s": 0.2})
    one = family("h-1")
    async with scene.running():
        await scene.open_cycle()
        await scene.approve()
        await scene.send([scene.key(one), scene.scored(one, AMOUNT)])
        await scene.settled_down(states={"h-1": "unknown"})
        async with partner(scene, tmp_path / "books"):
            await scene.settled_down(states={"h-1": "settled"})
            await until(lambda: scene.db.fetchval("select count(*) > 1 from report"))
        assert await scene.db.fetchval("select count(*) from every_transfer where kind = 'settle'") == 1


def test_contracts_install_alone_and_read_a_record(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT / "contracts", check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    there = tmp_path / "site"
    install = [sys.executable, "-m", "zipfile", "-e", str(wheel), str(there)]
    subprocess.run(install, check=True, capture_output=True)
    names = {path.name for path in there.iterdir() if not path.name.endswith(".dist-info")}
    assert names == {"contracts"}
    code = (
        "import contracts.wire, contracts.topics as t; print(contracts.__file__, t.partner_report('x').name)"
    )
    run = [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(there)!r}); {code}"]
    done = subprocess.run(run, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert done.stdout.split() == [str(there / "contracts" / "__init__.py"), "partner.x.report.v1"]
    assert (there / "contracts" / "schemas").is_dir()
