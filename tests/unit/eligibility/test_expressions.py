"""Expressions: what is remembered of them changes no answer. The language itself is the library's."""

import pytest

from services.eligibility.expressions import Undecided, written

FACTS = {"members": int, "age": int, "female": bool}


def test_what_is_remembered_hangs_on_the_facts_read_alone() -> None:
    few = written("members < 3 && !female", FACTS, bool)
    asked = [(2, False, 30), (2, True, 30), (4, False, 30), (2, False, 70), (2, True, 70)]
    found = [few.value({"members": n, "female": female, "age": age}) for n, female, age in asked]
    assert found == [True, False, False, True, False]


def test_what_has_no_value_says_so_each_time() -> None:
    share = written("age / members", FACTS, int)
    for members, expected in ((0, None), (0, None), (5, 8), (0, None)):
        if expected is None:
            with pytest.raises(Undecided):
                share.value({"members": members, "age": 40})
        else:
            assert share.value({"members": members, "age": 40}) == expected
