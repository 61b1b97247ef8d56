"""A service's file says whom it is offered, and who is told what; a wrong one is refused."""

import pytest

from services.eligibility import referral_files, referrals
from services.eligibility.app import FOLDER
from services.eligibility.reading import FileRefused
from services.eligibility.referral_files import catalogue, parse
from tests.unit.eligibility.samples import SERVICES

FILES = {path.name: path.read_bytes() for path in (FOLDER / "referrals").glob("*.yaml")}
TVET, PROTECTION, MIGRANTS = "tvet-and-jobs.yaml", "protection-helpline.yaml", "reintegration.yaml"


def refused(file: str, before: str, after: str) -> str:
    content = FILES[file].decode()
    assert before in content
    with pytest.raises(FileRefused) as caught:
        parse(file, content.replace(before, after, 1).encode())
    return str(caught.value)


@pytest.mark.parametrize("service", SERVICES.services.values(), ids=SERVICES.services)
def test_every_worked_example_comes_out_as_written(service: referral_files.Service) -> None:
    assert [each for each in referrals.try_examples(service) if each.expected != each.found] == []


def test_an_example_that_comes_out_otherwise_is_told() -> None:
    wrong = parse(TVET, FILES[TVET].replace(b"comes_out: sent", b"comes_out: nothing"))
    with pytest.raises(FileRefused, match="example 'a young woman without work' comes out as sent"):
        referrals.check_examples([wrong])


@pytest.mark.parametrize(
    ("file", "before", "after", "where", "remedy"),
    [
        (TVET, "sensitive: false", "sensitive: no one", ":9: sensitive:", "write true or false"),
        (TVET, "evidence: memory", "evidenz: memory", ": evidenz:", "remove it"),
        (TVET, "seeker > 0", "seekers > 0", ":27: conditions.1.holds:", "`docs/facts.md` lists the facts"),
        (TVET, "source: [tvet_programme]", "source: [memory]", ": source memory is not listed", "add it"),
        (TVET, "persons: seeker,", "persons: worker,", ": it sends worker", "define them under persons"),
        (TVET, "valid_to: null", "valid_to: 2020-01-01", ": ends before it begins", "correct valid_from"),
        (TVET, "tells: [contact]", "tells: [national_id]", ":31: send.tells.0:", "write one of the words"),
        (MIGRANTS, "sensitive: true", "sensitive: false", ":8: sensitive:", "write true"),
    ],
)
def test_what_is_wrong_is_refused_with_file_line_and_remedy(
    file: str, before: str, after: str, where: str, remedy: str
) -> None:
    said = refused(file, before, after)
    assert said.startswith(f"{file}:")
    assert where in said
    assert remedy in said


@pytest.mark.parametrize(
    "added",
    [
        "conditions: [{reason: women, holds: members > 1, en: x, km: x}]",
        "persons: {woman: {any_of: [female]}}",
        "send: {to: health}",
    ],
)
def test_protection_is_offered_to_everyone_alike_and_told_to_nobody(added: str) -> None:
    said = refused(PROTECTION, "examples:", f"{added}\nexamples:")
    assert said.startswith(f"{PROTECTION}:16: ")
    assert "offered to everyone alike" in said


def test_a_sensitive_service_is_not_told_by_the_ministry_that_gets_the_letter() -> None:
    alone = {MIGRANTS: FILES[MIGRANTS]}
    with pytest.raises(FileRefused, match="labour serves this alone"):
        catalogue(alone)
    assert "reintegration" in catalogue(alone | {TVET: FILES[TVET]})


def test_a_file_is_named_by_its_id() -> None:
    with pytest.raises(FileRefused, match=r"name the file tvet-and-jobs\.yaml"):
        catalogue({"jobs.yaml": FILES[TVET]})
