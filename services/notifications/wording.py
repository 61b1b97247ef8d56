"""What an SMS says: templates as data, checked when they are loaded, rendered in the reader's way.

`<template>.<language>.yaml` says one step in one language, `<template>.<programme>.<language>.yaml` says it
for one programme to who wants it in full, `names.<language>.yaml` makes a language (a tag of BCP 47): nothing
else lists them. What a language does not say is said in Khmer.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from itertools import product
from string import Formatter
from typing import NamedTuple

from contracts.household import KHMER
from services.notifications.segments import Segments, measure
from services.notifications.steps import WORDED, Step
from services.notifications.template_files import (
    Form,
    Names,
    OfProgramme,
    Template,
    TemplateRefused,
    file_of,
    line_of,
    parse,
    parts,
)

WESTERN_DIGITS = "0123456789"
LONGEST_AMOUNT = 9_999_900
"""Riel. More than any payment to one household; what a template's budget is checked with."""
ACCOUNT_DIGITS = 3
TEXTS_KEPT = 4096
LONGEST_NUMBER = "G-9999999"
LONGEST_PHONE = "+855 23 999 9999"


class Facts(NamedTuple):
    """What an SMS may say: ids, the month paid for (YYYY-MM), riel, a last day, an account's last digits;
    of a complaint its number and state; who to call."""

    programme: str | None = None
    partner: str | None = None
    period: str | None = None
    amount: int | None = None
    until: date | None = None
    account: str | None = None
    number: str | None = None
    state: str | None = None
    hotline: str | None = None
    helpline: str | None = None

    @property
    def is_of_many(self) -> bool:
        """Whether many are told the same: what names an account or a complaint is one household's."""
        return self.account is None and self.number is None


class Text(NamedTuple):
    """A rendered SMS."""

    text: str
    segments: Segments


class Place(NamedTuple):
    """Where a form stands: its file, and `full` or `neutral` in it."""

    template: str
    programme: str | None
    language: str
    form: str


@dataclass(frozen=True)
class Wording:
    """Every template in every language; `load` makes it."""

    names: Mapping[str, Names]
    templates: Mapping[tuple[str, str], Template]
    of_programmes: Mapping[tuple[str, str, str], Form]
    _said: dict[tuple[str, str, bool, Facts], Text] = field(default_factory=dict, repr=False, compare=False)

    def language(self, template: str, wanted: str) -> str:
        """What to say it in: the wanted language, a wider one (`lo` for `lo-LA`: RFC 4647, 3.4), or Khmer."""
        while wanted and (template, wanted) not in self.templates:
            wanted = wanted.rpartition("-")[0]
        return wanted or KHMER

    def render(self, template: str, language: str, *, full: bool, facts: Facts) -> Text:
        """The SMS in this language. A programme without a public name is told in the neutral form."""
        same = (template, language, full, facts)
        known = self._said.get(same)
        if known is None:
            form, names = self._form(template, language, full=full, facts=facts), self.names[language]
            text = form.text.format_map(_fields(names, facts)) if "{" in form.text else form.text
            known = Text(text, measure(text))
            if facts.is_of_many:
                self._remember(same, known)
        return known

    def _remember(self, same: tuple[str, str, bool, Facts], text: Text) -> None:
        if len(self._said) >= TEXTS_KEPT:
            self._said.clear()
        self._said[same] = text

    def _form(self, template: str, language: str, *, full: bool, facts: Facts) -> Form:
        wanted = self.templates[template, language]
        if not full or facts.programme not in self.names[language].programmes:
            return wanted.neutral
        return self.of_programmes.get((template, facts.programme, language)) or wanted.full or wanted.neutral

    def fields(self, language: str, facts: Facts) -> dict[str, str | None]:
        """How a language says what is known of these facts: `where`, `to`, `until`, `amount`, …."""
        return _fields(self.names[language], facts)

    def forms(self) -> Iterator[tuple[Place, Form]]:
        """Each form of each template, in order of their files."""
        for (template, language), each in sorted(self.templates.items()):
            for name, form in (("full", each.full), ("neutral", each.neutral)):
                if form is not None:
                    yield Place(template, None, language, name), form
        for (template, programme, language), form in sorted(self.of_programmes.items()):
            yield Place(template, programme, language, "full"), form

    def longest(self, place: Place, form: Form) -> Text:
        """A form with the longest realistic values."""
        names = self.names[place.language]
        facts = _extremes(self.names.values(), place.programme)
        texts = {form.text.format_map(_fields(names, each)) for each in facts}
        return max((Text(each, measure(each)) for each in texts), key=_size)


def load(files: Mapping[str, str], *, western_digits: bool = False) -> Wording:
    """Templates from file name -> content. Raises `TemplateRefused` for the first file that is wrong."""
    names: dict[str, Names] = {}
    templates: dict[tuple[str, str], Template] = {}
    of_programmes: dict[tuple[str, str, str], Form] = {}
    for file, text in sorted(files.items()):
        template, programme, language = parts(file)
        if template == "names":
            read = parse(Names, file, text)
            names[language] = read.model_copy(update={"digits": WESTERN_DIGITS}) if western_digits else read
        elif template not in WORDED:
            raise TemplateRefused(f"{file}: no step is called so; use {', '.join(sorted(WORDED))}")
        elif programme is not None:
            of_programmes[template, programme, language] = parse(OfProgramme, file, text).full
        else:
            templates[template, language] = parse(Template, file, text)
    wording = Wording(names, templates, of_programmes)
    _check_whole(wording)
    for place, form in wording.forms():
        _check(wording, place, form, files[file_of(*place[:3])])
    return wording


def _check_whole(wording: Wording) -> None:
    """Khmer says every step, and every language names each programme that has words of its own."""
    for template in WORDED:
        if (template, KHMER) not in wording.templates:
            raise TemplateRefused(f"{template}.{KHMER}.yaml: missing; write it: others fall back to it")
    for template, language in wording.templates:
        if language not in wording.names:
            raise TemplateRefused(
                f"names.{language}.yaml: missing; write it, as {template}.{language}.yaml needs it"
            )
    for template, programme, language in wording.of_programmes:
        if language not in wording.names or programme not in wording.names[language].programmes:
            raise TemplateRefused(
                f"{file_of(template, programme, language)}: names.{language}.yaml has no name for "
                f"{programme}; name it there, or leave it untold"
            )


def _check(wording: Wording, place: Place, form: Form, text: str) -> None:
    where = f"{file_of(*place[:3])}:{line_of(text, place.form, 'text')}: {place.form}"
    _check_fields(where, form.text, WORDED[place.template], full=place.form == "full")
    longest = wording.longest(place, form).segments
    if longest.total > form.segments_max:
        raise TemplateRefused(
            f"{where}: {longest.total} segments at its longest ({longest.units} units of "
            f"{longest.encoding}), {form.segments_max} allowed; shorten it or raise segments_max"
        )


def _check_fields(where: str, text: str, step: Step, *, full: bool) -> None:
    """Raises `TemplateRefused` for a field the step does not have, and for one it can't do without."""
    allowed = step.fields | (step.in_full if full else frozenset())
    try:
        used = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    except ValueError:
        raise TemplateRefused(f"{where}: a brace is not closed; write {{field}}") from None
    if unknown := sorted(used - allowed):
        remedy = f"use {', '.join(sorted(allowed))}" if allowed else "this step has none"
        raise TemplateRefused(f"{where}: unknown field {unknown[0]!r}; {remedy}")
    if missing := sorted(step.needed - used):
        raise TemplateRefused(f"{where}: lacks {{{missing[0]}}}, which whoever reads it must know; name it")


def _size(text: Text) -> tuple[int, int]:
    return text.segments.total, text.segments.units


def _extremes(names: Iterable[Names], programme: str | None) -> Iterator[Facts]:
    """Every name with the longest amount and every month, so that no real message is longer."""
    languages = list(names)
    programmes = (
        {programme} if programme else {each for language in languages for each in language.programmes}
    )
    partners = {each for language in languages for each in language.partners}
    states = {each for language in languages for each in language.grievance_states}
    accounts = (None, "9" * ACCOUNT_DIGITS)
    for each, partner, month, account in product(programmes, partners | {""}, range(1, 13), accounts):
        facts = Facts(each, partner, f"2028-{month:02}", LONGEST_AMOUNT, date(2028, month, 28), account)
        for state in states:
            yield facts._replace(
                number=LONGEST_NUMBER, state=state, hotline=LONGEST_PHONE, helpline=LONGEST_PHONE
            )


def _fields(names: Names, facts: Facts) -> dict[str, str | None]:
    """What may stand in braces; a field whose fact is not known is not there."""
    where = names.partners.get(facts.partner or "", names.other_partner)
    fields: dict[str, str | None] = {"where": where, "to": where}
    if facts.account is not None:
        fields["to"] = names.account.format(last=_in(names.digits, facts.account))
    if facts.state is not None:
        fields["state"] = names.grievance_states.get(facts.state)
    fields |= {"number": facts.number, "hotline": facts.hotline, "helpline": facts.helpline}
    if facts.programme is not None:
        fields["programme"] = names.programmes.get(facts.programme)
    if facts.period is not None:
        fields["period"] = _period(names.period, names.months, names.digits, facts.period)
    if facts.amount is not None:
        fields["amount"] = _amount(names.amount, names.grouping, names.digits, facts.amount)
    if facts.until is not None:
        fields["until"] = _date(names.date, names.months, names.digits, facts.until)
    return fields


@lru_cache(maxsize=4096)
def _amount(form: str, grouping: str, digits: str, amount: int) -> str:
    return form.format(number=_in(digits, f"{amount:,}".replace(",", grouping)))


@lru_cache(maxsize=1024)
def _date(form: str, months: tuple[str, ...], digits: str, day: date) -> str:
    return form.format(
        day=_in(digits, str(day.day)), month=months[day.month - 1], year=_in(digits, str(day.year))
    )


@lru_cache(maxsize=1024)
def _period(form: str, months: tuple[str, ...], digits: str, period: str) -> str:
    year, month = period.split("-")
    return form.format(month=months[int(month) - 1], year=_in(digits, year))


def _in(digits: str, number: str) -> str:
    """Western digits -> the language's own."""
    return number.translate(_translation(digits))


@lru_cache(maxsize=64)
def _translation(digits: str) -> dict[int, str]:
    return {ord("0") + value: digit for value, digit in enumerate(digits)}
