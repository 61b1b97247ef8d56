"""Names compared with a list: what is alike, what is not, and lists that can't be used."""

from importlib.util import find_spec

import pytest

from services.payments import screening
from services.payments.screening import Hit, ListRefused
from tests.unit.payments.test_entitlements import PAYEE

LIST = [
    "id,name,aliases",
    "X-1,Chan Sophea Rith,Rith Chan; ចាន់ សុភារិទ្ធ",
    "X-2,Renée Dupont,",
    'X-3,"Sok, Sreymom",',
]
SCREEN = screening.read(LIST, 90)


def hits(latin: str, khmer: str = "") -> list[str]:
    payee = PAYEE.model_copy(update={"name_latin": latin, "name_km": khmer})
    return [each.entry for each in SCREEN.hits(payee)]


@pytest.mark.parametrize(
    ("latin", "khmer", "entries"),
    [
        ("Chan Sophea Rith", "", ["X-1"]),
        ("RITH CHAN SOPHEA", "", ["X-1"]),
        ("Chan Sophea-Rith", "", ["X-1"]),
        ("Chan Sophea Rit", "", ["X-1"]),
        ("Somebody Else", "ចាន់ សុភារិទ្ធ", ["X-1"]),
        ("Renee Dupont", "", ["X-2"]),
        ("Sreymom Sok", "", ["X-3"]),
        ("Chan Sopheak", "សុខ", []),
        ("", "", []),
    ],
)
def test_a_name_is_alike_whatever_its_order_accents_and_script(
    latin: str, khmer: str, entries: list[str]
) -> None:
    assert hits(latin, khmer) == entries


def test_the_most_alike_of_an_entry_s_names_counts() -> None:
    payee = PAYEE.model_copy(update={"name_latin": "Rith Chan", "name_km": ""})
    assert SCREEN.hits(payee) == [Hit("X-1", 100)]


def test_another_list_or_threshold_is_another_version() -> None:
    versions = {
        screening.read(lines, least).version for lines, least in ((LIST, 90), (LIST, 80), (LIST[:3], 90))
    }
    assert len(versions) == 3


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["name", "Chan"], "line 1: the columns"),
        ([], "line 1: the columns"),
        (["id,name", "X-1,Chan", "X-1,Rith"], "line 3: its id"),
        (["id,name", ",Chan"], "line 2: its id"),
        (["id,name", "X-1,?!"], "line 2: its name is empty"),
    ],
)
def test_a_list_that_cannot_be_used_says_where_and_no_name(lines: list[str], says: str) -> None:
    with pytest.raises(ListRefused, match=says) as refused:
        screening.read(lines, 90)
    assert "Chan" not in str(refused.value)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screening, "find_spec", lambda name: None if name == "rapidfuzz" else find_spec(name))
    with pytest.raises(ListRefused, match=r"pip install 'tonle\[screening\]'"):
        screening.read(LIST, 90)
