"""A run counts only when everyone was scored, paid and told, once."""

from dataclasses import replace
from typing import Any

import pytest

from benchmarks.counting import Counted, flaws

DONE = Counted(
    rows=5,
    quarantined=1,
    registered=frozenset("abcd"),
    scored=frozenset("abcd"),
    eligible=frozenset("abc"),
    payments=[("a", "settled"), ("b", "failed"), ("c", "accepted")],
    sms=[("1", "a", "sent"), ("2", "b", "none"), ("3", "c", "sent")],
    arrived={"1": 1, "3": 1},
)


def test_a_run_in_which_all_are_paid_and_told_has_no_flaw() -> None:
    assert flaws(DONE) == []
    assert DONE.told == 2


@pytest.mark.parametrize(
    ("change", "flaw"),
    [
        ({"rows": 6}, "1 rows are neither registered nor quarantined"),
        ({"scored": frozenset("abc")}, "1 registered households were not scored"),
        (
            {"payments": DONE.payments[1:], "sms": DONE.sms[1:], "arrived": {"3": 1}},
            "1 eligible households were not paid",
        ),
        ({"eligible": frozenset("ab")}, "1 households were paid without being eligible"),
        ({"payments": [*DONE.payments, ("a", "issued")]}, "1 households were paid twice"),
        ({"sms": [DONE.sms[0], DONE.sms[2]]}, "1 paid households were not told"),
        ({"sms": [*DONE.sms, ("4", "b", "none")]}, "1 households were told twice"),
        ({"sms": [*DONE.sms[:2], ("3", "c", "queued")], "arrived": {"1": 1}}, "1 SMS are queued"),
        ({"arrived": {"1": 1}}, "1 SMS that were sent are not at the gateway"),
        ({"arrived": {"1": 1, "3": 1, "9": 1}}, "1 SMS came to the gateway unasked"),
        ({"arrived": {"1": 1, "3": 2}}, "1 SMS came to the gateway twice"),
    ],
)
def test_each_flaw_is_found_alone(change: dict[str, Any], flaw: str) -> None:
    assert flaws(replace(DONE, **change)) == [flaw]


def test_a_payment_that_failed_and_its_next_attempt_are_no_doubling() -> None:
    again = replace(
        DONE, payments=[*DONE.payments, ("b", "settled")], sms=[*DONE.sms, ("4", "b", "sent")],
        arrived={**DONE.arrived, "4": 1},
    )  # fmt: skip
    assert flaws(again) == []
