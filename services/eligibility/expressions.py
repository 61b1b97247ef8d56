"""Conditions and counts of a programme file, in CEL (Common Expression Language), checked against the facts.

`docs/decisions/0015-conditions-in-cel.md` says why. Pure.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from types import MappingProxyType

from cel_expr_python import cel

Value = int | bool | str
VALUES_REMEMBERED = 4096
_TYPES = MappingProxyType({bool: cel.Type.BOOL, int: cel.Type.INT, str: cel.Type.STRING})
_WORDS = {bool: "yes or no", int: "a whole number", str: "a text"}
_NAME = re.compile(r"[A-Za-z_]\w*")
_AT = re.compile(r"<input>:\d+:(\d+): ([^\n]*)")


class Miswritten(ValueError):
    """An expression that is none, or asks what is no fact: why, and at which character (from 1)."""

    def __init__(self, why: str, at: int) -> None:
        super().__init__(f"{why} (at character {at})")


class Undecided(ValueError):
    """An expression that has no value on these facts: it divides by zero, say."""

    handling = "park"

    def __init__(self, text: str) -> None:
        super().__init__(f"`{text}` has no value")


@dataclass(frozen=True)
class Expression:
    """A compiled expression; `reads` are the facts it names, in the vocabulary's order."""

    text: str
    reads: tuple[str, ...]
    program: cel.Expression

    def value(self, facts: Mapping[str, Value]) -> Value:
        """Its value on facts by name: all that it reads must be among them. Raises `Undecided`."""
        return self._remembered(tuple([facts[name] for name in self.reads]))

    @cached_property
    def _remembered(self) -> Callable[[tuple[Value, ...]], Value]:
        # It reads few facts, so most households ask what was asked before; evaluating takes 20 times as long.
        return lru_cache(VALUES_REMEMBERED)(self._evaluated)

    def _evaluated(self, read: tuple[Value, ...]) -> Value:
        found = self.program.eval(data=dict(zip(self.reads, read, strict=True)))
        if found.type() == cel.Type.ERROR:
            raise Undecided(self.text)
        value: Value = found.plain_value()
        return value


def written(text: str, vocabulary: Mapping[str, type], gives: type) -> Expression:
    """Compile an expression that gives a `bool` or an `int`. Raises `Miswritten`."""
    try:
        program = _environment(tuple(vocabulary.items())).compile(text)
    except RuntimeError as error:
        found = _AT.search(str(error))
        at, why = (int(found[1]), found[2]) if found else (1, "it is no CEL expression")
        raise Miswritten(why.removesuffix(" (in container '')"), at) from None
    if program.return_type() != _TYPES[gives]:
        raise Miswritten(f"it gives {program.return_type()}, and must give {_WORDS[gives]}", 1)
    # Words within quotes may be counted in: a fact too many costs nothing but a wider key.
    words = set(_NAME.findall(text))
    return Expression(text, tuple(name for name in vocabulary if name in words), program)


@cache
def _environment(vocabulary: tuple[tuple[str, type], ...]) -> cel.Env:
    return cel.NewEnv(variables={name: _TYPES[kind] for name, kind in vocabulary})
