"""Names of persons brought into a form in which spellings of one name come out alike. Pure.

For comparing only: what is shown and told is always the name as it was written.
"""

import re
import unicodedata

_KHMER_FIRST, _KHMER_LAST = 0x1780, 0x17DD
_AS_ONE_BYTE = {code: chr(code - _KHMER_FIRST + 0x21) for code in range(_KHMER_FIRST, _KHMER_LAST + 1)}

# Invisible: inherent vowels, joiners. Often left out: register shifters, bantoc, robat, toandakhiat, samyok.
_LEFT_OUT = re.compile("[\u17b4\u17b5\u17c9-\u17cd\u17d0\u200b-\u200d\u2060\ufeff]")
# Look the same, are typed in several ways: coeng da for coeng ta, one vowel in two parts, signs in any order.
_TYPED_OTHERWISE = (
    ("\u17d2\u178a", "\u17d2\u178f"),
    ("\u17c1\u17b6", "\u17c4"),
    ("\u17c1\u17b8", "\u17be"),
    ("\u17c6\u17b6", "\u17b6\u17c6"),
)
# Popular romanisation is free about these; aspirates first, then what sounds alike.
_SOUNDS = (
    *(("ch", "c"), ("sh", "s"), ("ph", "p"), ("th", "t"), ("dh", "t"), ("kh", "k"), ("nh", "n")),
    *(("j", "c"), ("w", "v"), ("x", "s"), ("z", "s"), ("q", "k")),
)
_SILENT_R = re.compile(r"r(?![aeiouy])")
_VOWELS = re.compile(r"[aeiouyh]")
_TWICE = re.compile(r"(.)\1+")
_NO_LETTER = re.compile(r"[^a-z ]")


def khmer(name: str) -> str:
    """A name in Khmer script: variants of typing made one, one ASCII character for each code point.

    One byte a letter, because DuckDB's Jaro-Winkler counts bytes: in UTF-8 every Khmer letter begins with the
    same two of three, and names without one common letter come out 0.82 alike.
    """
    text = _LEFT_OUT.sub("", unicodedata.normalize("NFC", name))
    for typed, meant in _TYPED_OTHERWISE:
        text = text.replace(typed, meant)
    letters = (
        _AS_ONE_BYTE.get(ord(letter), " " if letter.isspace() else letter.lower()[0]) for letter in text
    )
    return " ".join("".join(letters).split())


def latin(name: str) -> str:
    """A name in Latin script: small letters without accents, its parts in alphabetical order."""
    plain = unicodedata.normalize("NFKD", name).lower()
    return " ".join(sorted(_NO_LETTER.sub("", plain.replace("-", " ")).split()))


def sound(name: str) -> str:
    """A Latin name's consonants as they sound, part by part: *Srey Phea* and *Pea Srei* are both `p sr`."""
    return " ".join(sorted(_consonants(part) for part in latin(name).split()))


def _consonants(part: str) -> str:
    sounds = part
    for written, heard in _SOUNDS:
        sounds = sounds.replace(written, heard)
    return _TWICE.sub(r"\1", _VOWELS.sub("", _SILENT_R.sub("", sounds))) or part[0]
