"""What an SMS says: templates as data, checked when they are loaded, rendered in the reader's way."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from itertools import product
from string import Formatter
from typing import Annotated, NamedTuple, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.notifications.segments import Segments, measure

LONGEST_AMOUNT = 9_999_900
"""Riel. More than any payment to one household; what a template's budget is checked with."""
NEUTRAL_FIELDS = frozenset({"amount", "where", "until"})
FULL_FIELDS = NEUTRAL_FIELDS | {"programme", "period"}


class TemplateRefused(ValueError):
    """A template that can't be used: the file, what is wrong with it, and what to do."""


class Facts(NamedTuple):
    """What a payment's SMS says: ids, the month paid for (YYYY-MM), whole riel, the last day to collect."""

    programme: str
    partner: str
    period: str
    amount: int
    until: date


class Text(NamedTuple):
    """A rendered SMS."""

    text: str
    segments: Segments


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Names(_File):
    """`names.<language>.yaml`: how a language writes numbers and dates, and what things are called."""

    digits: Annotated[str, Field(min_length=10, max_length=10)]
    grouping: str
    amount: str
    date: str
    period: str
    months: Annotated[tuple[str, ...], Field(min_length=12, max_length=12)]
    programmes: dict[str, str]
    partners: dict[str, str]
    other_partner: str


class Form(_File):
    """A text with fields in braces, and the segments it may take at its longest."""

    text: str
    segments_max: Annotated[int, Field(ge=1, le=10)]


class Template(_File):
    """`<template>.<language>.yaml`: a message for who wants it in full, and one without programme."""

    full: Form
    neutral: Form


F = TypeVar("F", bound=_File)


@dataclass(frozen=True)
class Wording:
    """Every template in every language; `load` makes it."""

    names: Mapping[str, Names]
    templates: Mapping[tuple[str, str], Template]

    def render(self, template: str, language: str, *, full: bool, facts: Facts) -> Text:
        """The SMS in this language. A programme without a public name is told in the neutral form."""
        names, wanted = self.names[language], self.templates[template, language]
        programme = names.programmes.get(facts.programme)
        form = wanted.full if full and programme is not None else wanted.neutral
        text = form.text.format(
            programme=programme,
            where=names.partners.get(facts.partner, names.other_partner),
            period=_period(names.period, names.months, names.digits, facts.period),
            amount=_amount(names.amount, names.grouping, names.digits, facts.amount),
            until=_date(names.date, names.months, names.digits, facts.until),
        )
        return Text(text, measure(text))


def load(files: Mapping[str, str]) -> Wording:
    """Templates from file name -> content. Raises `TemplateRefused` for the first file that is wrong."""
    names = {_parts(file)[1]: _parse(Names, file, text) for file, text in files.items() if _is_names(file)}
    templates = {
        _parts(file): _parse(Template, file, text) for file, text in files.items() if not _is_names(file)
    }
    for template, language in product({template for template, _ in templates}, names):
        if (template, language) not in templates:
            raise TemplateRefused(f"{template}.{language}.yaml: missing; write it, as {language} has names")
    wording = Wording(names, templates)
    for template, language in templates:
        _check(wording, template, language)
    return wording


def _check(wording: Wording, template: str, language: str) -> None:
    file, checked = f"{template}.{language}.yaml", wording.templates[template, language]
    if language not in wording.names:
        raise TemplateRefused(f"names.{language}.yaml: missing; write it, as {file} needs it")
    for name, form, allowed in (
        ("full", checked.full, FULL_FIELDS),
        ("neutral", checked.neutral, NEUTRAL_FIELDS),
    ):
        _check_fields(f"{file}: {name}", form.text, allowed)
        longest = max(
            (
                wording.render(template, language, full=name == "full", facts=f).segments
                for f in _extremes(wording)
            ),
            key=lambda segments: (segments.total, segments.units),
        )
        if longest.total > form.segments_max:
            raise TemplateRefused(
                f"{file}: {name}: {longest.total} segments at its longest ({longest.units} units of "
                f"{longest.encoding}), {form.segments_max} allowed; shorten it or raise segments_max"
            )


def _check_fields(where: str, text: str, allowed: frozenset[str]) -> None:
    try:
        used = {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    except ValueError:
        raise TemplateRefused(f"{where}: a brace is not closed; write {{field}}") from None
    if unknown := sorted(used - allowed):
        raise TemplateRefused(f"{where}: unknown field {unknown[0]!r}; use {', '.join(sorted(allowed))}")


def _extremes(wording: Wording) -> Iterator[Facts]:
    """Every name with the longest amount and every month, so that no real message is longer."""
    programmes = {programme for names in wording.names.values() for programme in names.programmes}
    partners = {partner for names in wording.names.values() for partner in names.partners}
    for programme, partner, month in product(programmes, partners | {""}, range(1, 13)):
        yield Facts(programme, partner, f"2028-{month:02}", LONGEST_AMOUNT, date(2028, month, 28))


def _parse(model: type[F], file: str, text: str) -> F:
    try:
        return model.model_validate(yaml.safe_load(text))
    except yaml.YAMLError:
        raise TemplateRefused(f"{file}: not YAML; check its quotes and indentation") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "file"
        raise TemplateRefused(f"{file}: {where}: {first['msg']}; compare with the files beside it") from None


def _parts(file: str) -> tuple[str, str]:
    """`payment-issued.km.yaml` -> ("payment-issued", "km")."""
    match file.split("."):
        case [template, language, "yaml"]:
            return template, language
    raise TemplateRefused(f"{file}: not a template's name; call it <template>.<language>.yaml")


def _is_names(file: str) -> bool:
    return _parts(file)[0] == "names"


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
    return number.translate({ord("0") + value: digit for value, digit in enumerate(digits)})
