"""Spellings of one name come out alike, and of two names apart."""

import pytest

from services.registration import names


@pytest.mark.parametrize(
    ("written", "otherwise"),
    [
        ("សុខ ដារា", "សុខ\u200b  ដារា"),
        ("សាន្ត", "សាន្ដ"),
        ("ដារា", "ដារ៉ា"),
        ("សោភា", "សេ\u17b6ភា"),
        ("វ៉ាន់", "វាន"),
    ],
    ids=["zero-width space", "coeng da", "register shifter", "vowel in two parts", "silent marks"],
)
def test_a_khmer_name_typed_otherwise_is_the_same(written: str, otherwise: str) -> None:
    assert names.khmer(written) == names.khmer(otherwise)


@pytest.mark.parametrize(("one", "other"), [("សុខា", "សុភា"), ("ដារា", "ដារី"), ("គឹម", "គីម")])
def test_other_khmer_names_stay_apart(one: str, other: str) -> None:
    assert names.khmer(one) != names.khmer(other)


def test_every_khmer_letter_becomes_one_byte() -> None:
    letters = "".join(map(chr, (*range(0x1780, 0x17B4), *range(0x17B6, 0x17C9))))
    folded = names.khmer(letters)
    assert folded.isascii()
    assert len(folded) == len(letters) == len(set(folded))


def test_latin_names_are_the_same_in_any_order_case_and_accent() -> None:
    assert names.latin("SOK Dara") == names.latin("dàra  sok") == "dara sok"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Sok Dara", "Sokh Darra"),
        ("Srey Phea", "Pea Srei"),
        ("Chea Vanna", "Jear Wanna"),
        ("Cheurn", "Choeun"),
        ("Ouch", "Uch"),
        ("Yi", "Yi"),
    ],
)
def test_names_romanised_otherwise_sound_the_same(one: str, other: str) -> None:
    assert names.sound(one) == names.sound(other) != ""


@pytest.mark.parametrize(("one", "other"), [("Sok", "Som"), ("Bopha", "Sopha"), ("Dara", "Dala")])
def test_names_with_other_consonants_do_not(one: str, other: str) -> None:
    assert names.sound(one) != names.sound(other)
