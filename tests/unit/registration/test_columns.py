"""Which headers are accepted, and what is said about the others."""

import pytest

from services.registration.columns import REPORT, FileRefused, check
from tests.unit.registration.samples import COLUMNS, row


def without(*names: str) -> list[str]:
    return [name for name in COLUMNS if name not in names]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ([*COLUMNS, "phone"], "more than once: phone"),
        (without("village", "member_1_sex"), "missing columns: village, member_1_sex"),
        (without("member_2_name_km"), "missing columns: member_2_name_km"),
        ([*without("phone"), "phnoe"], "unknown columns: phnoe"),
        ([*COLUMNS, "member_41_name_km"], "unknown columns: member_41_name_km"),
        ([*COLUMNS, "member_5_name_km"], "missing columns: member_4_name_km"),
        ([*COLUMNS, ""], "unknown columns: (empty)"),
        ([], "missing columns: reference"),
    ],
)
def test_a_wrong_header_refuses_the_file_and_names_the_columns(header: list[str], said: str) -> None:
    with pytest.raises(FileRefused) as refused:
        check(header)
    assert said in refused.value.reason
    assert refused.value.remedy


def test_a_misspelt_column_is_told_what_it_may_be() -> None:
    with pytest.raises(FileRefused) as refused:
        check([*without("phone"), "phnoe"])
    assert "phnoe → phone" in refused.value.remedy


@pytest.mark.parametrize(
    "header", [COLUMNS, [*row()], [f" {name} " for name in COLUMNS], [*COLUMNS, *REPORT]]
)
def test_optional_columns_may_be_missing_and_an_export_comes_back_as_it_is(header: list[str]) -> None:
    assert check(header) == tuple(name.strip() for name in header)
