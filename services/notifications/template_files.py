"""The files that templates are written in: their shapes, and where in a file something is wrong."""

from typing import Annotated, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError


class TemplateRefused(ValueError):
    """A template that can't be used: the file and its line, what is wrong with it, and what to do."""


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
    account: str
    grievance_states: dict[str, str]


class Form(_File):
    """A text with fields in braces, and the segments it may take at its longest."""

    text: str
    segments_max: Annotated[int, Field(ge=1, le=10)]


class Template(_File):
    """`<template>.<language>.yaml`: neutral words, and others for who wants it in full."""

    full: Form | None = None
    neutral: Form


class OfProgramme(_File):
    """`<template>.<programme>.<language>.yaml`: the full words for one programme."""

    full: Form


F = TypeVar("F", bound=_File)


def parse(model: type[F], file: str, text: str) -> F:
    """A file's content. Raises `TemplateRefused` with the line of the first thing that is wrong."""
    try:
        return model.model_validate(yaml.safe_load(text))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise TemplateRefused(f"{file}:{line}: not YAML; check its quotes and indentation") from None
    except yaml.YAMLError:
        raise TemplateRefused(f"{file}: not YAML; check its quotes and indentation") from None
    except ValidationError as error:
        first = error.errors()[0]
        path = [str(step) for step in first["loc"]]
        where = ".".join(path) or "file"
        raise TemplateRefused(
            f"{file}:{line_of(text, *path)}: {where}: {first['msg']}; compare with the files beside it"
        ) from None


def line_of(text: str, *path: str) -> int:
    """The line, from 1, where a YAML mapping's key stands; of the last key on its way that is there."""
    node, line = yaml.compose(text, Loader=yaml.SafeLoader), 1
    for step in path:
        if not isinstance(node, yaml.MappingNode):
            break
        for key, value in node.value:
            if key.value == step:
                node, line = value, key.start_mark.line + 1
                break
        else:
            break
    return line


def parts(file: str) -> tuple[str, str | None, str]:
    """`payment-ready.km.yaml` -> ("payment-ready", None, "km"); a programme stands between the two."""
    match file.split("."):
        case [template, language, "yaml"]:
            return template, None, language
        case [template, programme, language, "yaml"]:
            return template, programme, language
    raise TemplateRefused(f"{file}: not a template's name; call it <template>.<language>.yaml")


def file_of(template: str, programme: str | None, language: str) -> str:
    """The name of the file that says this."""
    return ".".join(filter(None, (template, programme, language, "yaml")))
