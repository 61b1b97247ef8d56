"""What an SMS says, and which templates are refused."""

from datetime import date
from pathlib import Path

import pytest
from babel import Locale
from babel.numbers import format_decimal

from services.notifications import answers, options, wording
from services.notifications.steps import STEPS
from services.notifications.template_files import TemplateRefused
from services.notifications.wording import LONGEST_PHONE, Facts, Wording

FILES = options.template_files()
PROTECTION = FILES["answer-protection.en.yaml"]
FACTS = Facts("covid-19-cash-transfer", "wing", "2023-06", 176_000, date(2023, 7, 1))


@pytest.fixture(scope="module")
def ours() -> Wording:
    return wording.load(FILES)


@pytest.mark.parametrize(
    ("language", "full", "text", "segments"),
    [
        (
            "en",
            True,
            (
                "Your household has been granted 176,000 riel by the COVID-19 Cash Transfer for June 2023. "
                "Please bring your Equity Card and collect it at any Wing agent by 1 July 2023. "
                "There is no fee."
            ),
            ("gsm-7", 185, 2),
        ),
        (
            "en",
            False,
            (
                "A social transfer of 176,000 riel is waiting for you. "
                "Please collect it at any Wing agent by 1 July 2023. There is no fee."
            ),
            ("gsm-7", 122, 1),
        ),
        (
            "km",
            True,
            (
                "សូមជម្រាបថា លោកអ្នកទទួលបាន ១៧៦,០០០ រៀល ពីកម្មវិធីឧបត្ថម្ភសាច់ប្រាក់កូវីដ-១៩ សម្រាប់ខែមិថុនា ២០២៣។ "
                "សូមយកប័ណ្ណសមធម៌ទៅបើកប្រាក់នៅភ្នាក់ងារវីង យ៉ាងយូរត្រឹមថ្ងៃទី១ កក្កដា ២០២៣។ មិនគិតថ្លៃសេវាទេ។"
            ),
            ("ucs-2", 189, 3),
        ),
        (
            "km",
            False,
            (
                "លោកអ្នកទទួលបានប្រាក់ឧបត្ថម្ភសង្គម ១៧៦,០០០ រៀល។ "
                "សូមអញ្ជើញបើកប្រាក់នៅភ្នាក់ងារវីង យ៉ាងយូរត្រឹមថ្ងៃទី១ កក្កដា ២០២៣។ មិនគិតថ្លៃទេ។"
            ),
            ("ucs-2", 126, 2),
        ),
    ],
)
def test_a_payment_is_told_in_the_words_of_its_template(
    ours: Wording, language: str, full: bool, text: str, segments: tuple[str, int, int]
) -> None:
    rendered = ours.render("payment-ready", language, full=full, facts=FACTS)
    assert rendered.text == text
    assert rendered.segments == segments


@pytest.mark.parametrize("language", ["km", "en"])
def test_a_programme_without_a_public_name_is_told_in_the_neutral_form(ours: Wording, language: str) -> None:
    unnamed = FACTS._replace(programme="family-package-hiv")
    full = ours.render("payment-ready", language, full=True, facts=unnamed)
    assert full == ours.render("payment-ready", language, full=False, facts=FACTS)


def test_a_partner_without_a_public_name_has_a_general_one(ours: Wording) -> None:
    elsewhere = ours.render("payment-ready", "en", full=False, facts=FACTS._replace(partner="acme"))
    assert "collect it at your payment agent by" in elsewhere.text


@pytest.mark.parametrize("language", ["km", "en"])
def test_months_and_grouping_are_those_of_cldr(ours: Wording, language: str) -> None:
    names, locale = ours.names[language], Locale(language)
    assert names.months == tuple(locale.months["format"]["wide"][month] for month in range(1, 13))
    assert f"{1234567:,}".replace(",", names.grouping) == format_decimal(1234567, locale=language)


KM, EN, NAMES = "payment-ready.km.yaml", "payment-ready.en.yaml", "names.en.yaml"


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        (
            EN,
            "{until}",
            "{untill}",
            "payment-ready.en.yaml:4: full: unknown field 'untill'; use amount, period",
        ),
        (
            EN,
            "A social transfer",
            "{programme}",
            "neutral: unknown field 'programme'; use amount, until, where",
        ),
        (EN, "{until}", "{until", "payment-ready.en.yaml:4: full: a brace is not closed; write {field}"),
        (
            EN,
            " by {until}",
            "",
            "payment-ready.en.yaml:4: full: lacks {until}, which whoever reads it must know",
        ),
        (
            "registered.en.yaml",
            "Your household",
            "{amount}",
            "registered.en.yaml:4: neutral: unknown field 'amount'; this step has none",
        ),
        (EN, "A social transfer", "A social transfer " * 3, "neutral: 2 segments at its longest"),
        # One sign outside GSM-7 more than halves the room.
        (EN, "There is no fee.", "There is no fee…", "full: 4 segments at its longest"),
        (KM, "សូមជម្រាបថា", "សូមជម្រាបថា " * 3, "payment-ready.km.yaml:4: full: 4 segments at its longest"),
        # The longest name counts, not the one most messages have.
        (
            NAMES,
            "any Wing agent",
            "any of the Wing agents of your commune or town",
            "payment-paid.en.yaml:5: neutral: 2 segments",
        ),
        (
            EN,
            "segments_max: 2",
            "segments_max: 0",
            "full.segments_max: Input should be greater than or equal to 1",
        ),
        (
            EN,
            "neutral:",
            "natural:",
            "payment-ready.en.yaml:1: neutral: Field required; compare with the files",
        ),
        (EN, "full:", "full: [", "payment-ready.en.yaml:4: not YAML; check its quotes and indentation"),
        (NAMES, "January, ", "", "names.en.yaml:8: months: Tuple should have at least 12 items"),
    ],
)
def test_a_wrong_template_is_refused_with_file_and_remedy(file: str, old: str, new: str, reason: str) -> None:
    assert old in FILES[file]
    with pytest.raises(TemplateRefused) as refused:
        wording.load(FILES | {file: FILES[file].replace(old, new)})
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        (EN.replace(".en.", ".km."), "payment-ready.km.yaml: missing; write it: others fall back to it"),
        (NAMES, "names.en.yaml: missing; write it, as answer-help.en.yaml needs it"),
    ],
)
def test_khmer_is_whole_and_every_language_has_its_names(missing: str, reason: str) -> None:
    with pytest.raises(TemplateRefused, match=reason):
        wording.load({file: text for file, text in FILES.items() if file != missing})


def test_a_file_that_is_not_named_like_a_template_is_refused() -> None:
    with pytest.raises(TemplateRefused, match=r"call it <template>\.<language>\.yaml"):
        wording.load(FILES | {"notes.yaml": ""})


def test_the_languages_of_the_schema_have_their_names() -> None:
    assert {Path(file).stem for file in FILES if file.startswith("names.")} == {"names.km", "names.en"}


@pytest.mark.parametrize(
    ("template", "wanted", "told"),
    [
        ("payment-ready", "lo", "lo"),
        ("payment-ready", "lo-LA-x-old", "lo"),
        ("payment-paid", "lo", "km"),
        ("payment-ready", "jra", "km"),
        ("payment-ready", "", "km"),
    ],
)
def test_what_a_language_does_not_say_is_said_in_khmer(template: str, wanted: str, told: str) -> None:
    some = {file.replace(".en.", ".lo."): FILES[file] for file in (EN, NAMES)}
    assert wording.load(FILES | some).language(template, wanted) == told


def test_a_file_for_a_step_there_is_not_is_refused() -> None:
    with pytest.raises(
        TemplateRefused, match=r"payment-redy\.en\.yaml: no step is called so; use answer-help"
    ):
        wording.load(FILES | {"payment-redy.en.yaml": FILES[EN]})


def test_a_language_comes_by_adding_its_files_alone() -> None:
    lao = {file.replace(".en.", ".lo."): text for file, text in FILES.items() if ".en." in file}
    ours = wording.load(FILES | lao)
    in_lao = ours.render("payment-ready", "lo", full=True, facts=FACTS)
    assert in_lao == ours.render("payment-ready", "en", full=True, facts=FACTS)


@pytest.mark.parametrize("hotline", ["1286", "023 000 000", LONGEST_PHONE])
def test_the_answer_to_who_asks_for_protection_takes_as_many_segments_as_that_to_help(hotline: str) -> None:
    answers.check_alike(wording.load(FILES), Facts(hotline=hotline, helpline=hotline))


@pytest.mark.parametrize(
    "change",
    [
        {
            "answer-protection.en.yaml": PROTECTION.replace("Thank you", "Thanks " * 12).replace(
                "max: 1", "max: 2"
            )
        },
        {"answer-protection.en.yaml": PROTECTION.replace("Thank you", "ok…").replace("max: 1", "max: 2")},
        {"answer-help.lo.yaml": FILES["answer-help.en.yaml"], "names.lo.yaml": FILES[NAMES]},
    ],
)
def test_an_answer_that_gives_away_who_asks_for_protection_is_refused(change: dict[str, str]) -> None:
    ours = wording.load(FILES | change)
    with pytest.raises(TemplateRefused, match=r"answer-protection\.(en|lo)\.yaml: in another language"):
        answers.check_alike(ours, Facts(hotline="023 000 000", helpline="023 000 001"))


OWN = "payment-ready.covid-19-cash-transfer.en.yaml"
OF_PROGRAMME = """full:
  segments_max: 1
  text: "COVID-19: {amount} at {where} by {until}."
"""


def test_a_programme_may_have_words_of_its_own_for_who_wants_them_in_full() -> None:
    ours = wording.load(FILES | {OWN: OF_PROGRAMME})
    full = ours.render("payment-ready", "en", full=True, facts=FACTS)
    assert full.text == "COVID-19: 176,000 riel at any Wing agent by 1 July 2023."
    neutral = ours.render("payment-ready", "en", full=False, facts=FACTS)
    assert "COVID" not in neutral.text


def test_a_programme_that_is_not_named_has_no_words_of_its_own() -> None:
    file = "payment-ready.family-package-hiv.en.yaml"
    with pytest.raises(TemplateRefused, match=r"names\.en\.yaml has no name for family-package-hiv; name it"):
        wording.load(FILES | {file: OF_PROGRAMME})


def test_khmer_may_be_told_in_western_digits() -> None:
    ours = wording.load(FILES, western_digits=True)
    text = ours.render("payment-ready", "km", full=False, facts=FACTS).text
    assert "176,000 រៀល" in text
    assert not set("០១២៣៤៥៦៧៨៩") & set(text)


@pytest.mark.parametrize("language", ["km", "en"])
@pytest.mark.parametrize("step", sorted(STEPS))
def test_every_step_is_told_in_every_language_and_names_no_programme_to_who_wants_neutral_words(
    ours: Wording, step: str, language: str
) -> None:
    text = ours.render(step, language, full=False, facts=FACTS._replace(account="567")).text
    assert "{" not in text
    assert ours.names[language].programmes["covid-19-cash-transfer"] not in text


def test_what_many_are_told_is_put_into_words_once_and_what_one_household_is_told_is_not_kept() -> None:
    ours = wording.load(FILES)

    def told(step: str, facts: Facts) -> wording.Text:
        return ours.render(step, "km", full=False, facts=facts)

    assert told("payment-ready", FACTS) is told("payment-ready", FACTS._replace())
    assert told("payment-ready", FACTS) != told("payment-ready", FACTS._replace(amount=180_000))
    paid, opened = FACTS._replace(account="567"), Facts(number="G-1000001")
    assert told("payment-paid", paid) is not told("payment-paid", paid)
    assert told("grievance-opened", opened) is not told("grievance-opened", opened)
