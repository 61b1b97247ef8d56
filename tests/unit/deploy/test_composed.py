"""What is looked for in the composed stack: what a container may not do, and what was paid by whom."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from deploy.containers import composed, sending
from deploy.containers.composed import Inspected
from deploy.containers.steps import StepFailed
from tests.unit.tonle.test_hops import changed


def inspected(
    host: dict[str, object] | None = None, told: dict[str, object] | None = None, **other: object
) -> Inspected:
    """A container that is as it should be but for this."""
    confined = {"ReadonlyRootfs": True, "CapDrop": ["ALL"], "SecurityOpt": ["no-new-privileges:true"]}
    found: Inspected = {
        "Name": "/payments",
        "State": {"Status": "running", "ExitCode": 0},
        "RestartCount": 0,
        "HostConfig": {**confined, **(host or {})},
        "Config": {"User": "10001:10001", "Env": ["TONLE_KAFKA=kafka:9092"], **(told or {})},
        "Mounts": [{"Destination": "/data", "RW": True}, {"Destination": "/run/secrets/a", "RW": False}],
    }
    return {**found, **other}  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        (inspected(), []),
        (inspected(told={"User": ""}), ["runs as root"]),
        (inspected(told={"User": "0:0"}), ["runs as root"]),
        (inspected({"ReadonlyRootfs": False}), ["can write to its root"]),
        (inspected({"CapDrop": None}), ["can do too much"]),
        (inspected({"SecurityOpt": None}), ["can do too much"]),
        (inspected(told={"Env": ["A=xyzzy"]}), ["is told a secret in a variable or its command"]),
        (inspected(told={"Cmd": ["--token=xyzzy"]}), ["is told a secret in a variable or its command"]),
        (inspected(Mounts=[{"Destination": "/run/secrets/a", "RW": True}]), ["can write to its secrets"]),
        (inspected(RestartCount=2), ["was started again 2 times"]),
    ],
)
def test_what_a_container_may_do_and_should_not_is_named(container: Inspected, expected: list[str]) -> None:
    assert list(composed.flaws(container, ["xyzzy"])) == expected


def test_accounts_are_shared_out_among_all_three_kinds_of_partners(tmp_path: Path) -> None:
    file = tmp_path / "households.csv"
    with file.open("w", newline="") as target:
        rows = [[str(number), "wing" if number < 6 else ""] for number in range(8)]
        csv.writer(target).writerows([["reference", "account_provider"], *rows])
    sending.share_out(file)
    with file.open(newline="") as source:
        found = Counter(row["account_provider"] for row in csv.DictReader(source))
    assert found == {"wing": 2, "acleda": 2, "truemoney": 2, "": 2}


def test_what_the_partners_paid_is_what_payments_calls_settled() -> None:
    outside = {"partner-wing": {"settled": 3, "failed": 1}, "partner-acleda": {"files": 1, "payments": 2}}
    assert sending.paid_by(outside, changed("payments", settled=5)) == {"wing": 3, "acleda": 2}
    with pytest.raises(StepFailed, match="payments knows of 6"):
        sending.paid_by(outside, changed("payments", settled=6))


def test_a_partner_that_nobody_told_is_noticed() -> None:
    outside = {"partner-wing": {"settled": 5}, "partner-truemoney": {}}
    with pytest.raises(StepFailed, match="truemoney"):
        sending.paid_by(outside, changed("payments", settled=5))
