"""An SMS that came in: read in whatever encoding it is, and understood by its words. Pure."""

import re
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from contracts.household import ENGLISH, KHMER
from services.notifications.segments import BASIC, EXTENSION

CHARACTERS_MOST: Final = 1600
"""More than ten segments in any alphabet: what is longer is cut."""
_ESCAPE = 0x1B
_EXTENDED = dict(zip(b"\x0a\x14\x28\x29\x2f\x3c\x3d\x3e\x40\x65", EXTENSION, strict=True))
"""TS 23.038, 6.2.1.1: what follows an escape, in the order of `EXTENSION`."""
_WORD = re.compile(r"[^\W_]+")
_KHMER = re.compile(r"[\u1780-\u17ff]")
# What a telephone may put between Khmer letters, and no word contains.
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\ufeff\u00ad"))


class Kind(StrEnum):
    """What a message wants. `protection` is never told to anybody under this name."""

    STOP = "stop"
    START = "start"
    HELP = "help"
    COMPLAINT = "complaint"
    PROTECTION = "protection"
    OTHER = "other"


class WordsRefused(ValueError):
    """The file of words can't be used: why, and what to do."""


class Words(BaseModel):
    """`words.yaml`: the words of each kind, in any language."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    protection: Annotated[tuple[str, ...], Field(min_length=1)]
    stop: Annotated[tuple[str, ...], Field(min_length=1)]
    start: Annotated[tuple[str, ...], Field(min_length=1)]
    complaint: Annotated[tuple[str, ...], Field(min_length=1)]
    help: Annotated[tuple[str, ...], Field(min_length=1)]

    def kind(self, text: str) -> Kind:
        """What a message wants, by its first word that is known."""
        plain = _plain(text)
        latin = _WORD.findall(plain)
        if any(_stands(word, plain, latin) for word in map(_plain, self.protection)):
            return Kind.PROTECTION
        for kind in (Kind.STOP, Kind.START, Kind.COMPLAINT, Kind.HELP):
            for word in map(_plain, getattr(self, kind)):
                if plain.startswith(word) if _KHMER.search(word) else latin[:1] == [word]:
                    return kind
        return Kind.OTHER


def load(text: str) -> Words:
    """Words from the file's content. Raises `WordsRefused`."""
    try:
        words = Words.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError):
        kinds = ", ".join(Words.model_fields)
        raise WordsRefused(f"words.yaml: a list of words is expected under each of {kinds}") from None
    meant: dict[str, str] = {}
    for kind, each in words.model_dump().items():
        for word in map(_plain, each):
            if other := meant.get(word):
                raise WordsRefused(f"words.yaml: {word!r} stands under {other} and {kind}; leave it in one")
            meant[word] = kind
    return words


def read(text: bytes, encoding: str) -> str:
    """The text of a message; what its encoding can't be is read as what it may be, and never fails.

    Control characters are left out, and what is longer than `CHARACTERS_MOST` is cut.
    """
    found = next(each for each in _readings(text, encoding) if each is not None)
    kept = "".join(each for each in found if each in "\n\t" or not unicodedata.category(each).startswith("C"))
    return kept.strip()[:CHARACTERS_MOST]


def language_of(text: str) -> str:
    """Khmer, unless somebody wrote two words or more without a Khmer letter."""
    return ENGLISH if len(_WORD.findall(text)) > 1 and not _KHMER.search(text) else KHMER


def _readings(text: bytes, encoding: str) -> Iterator[str | None]:
    if encoding == "gsm-7":
        yield _gsm_7(text)
    elif encoding != "binary":
        yield _decoded(text, encoding)
    yield _decoded(text, "utf-8")
    wide = _decoded(text, "utf-16-be")
    yield wide if wide is not None and (_KHMER.search(wide) or wide.isascii()) else None
    yield text.decode("latin-1")


def _decoded(text: bytes, encoding: str) -> str | None:
    try:
        return text.decode(encoding)
    except (LookupError, ValueError):  # no text encoding, or not this one
        return None


def _gsm_7(text: bytes) -> str | None:
    """One septet an octet; None where an octet is none."""
    found, octets = [], iter(text)
    for octet in octets:
        if octet == _ESCAPE:
            found.append(_EXTENDED.get(next(octets, 0), " "))
        elif octet < len(_ALPHABET):
            found.append(_ALPHABET[octet])
        else:
            return None
    return "".join(found)


_ALPHABET = BASIC[:_ESCAPE] + "\u00a0" + BASIC[_ESCAPE:]


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).translate(_INVISIBLE).strip().casefold()


def _stands(word: str, plain: str, latin: list[str]) -> bool:
    return word in plain if _KHMER.search(word) else word in latin
