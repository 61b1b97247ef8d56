"""A file's expressions, compiled against the facts there are; a file is refused once for all. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from services.eligibility import documents, expressions
from services.eligibility.expressions import Expression, Miswritten, Value
from services.eligibility.facts import CIRCUMSTANCES, PERSON, Vocabulary
from services.eligibility.reading import FileRefused, Place


@dataclass(frozen=True)
class Counted:
    """Which members a file counts; `rules` are conditions, or one that says how often."""

    rules: tuple[Expression, ...]
    once: bool

    def count(self, person: Mapping[str, Value]) -> int:
        """How often a person counts, from facts by name."""
        hits = sum(int(rule.value(person)) for rule in self.rules)
        return min(hits, 1) if self.once else hits


class Compiler:
    """Compiles a file's expressions; `at` says where a place stands, `groups` are the members it counts."""

    def __init__(self, at: Callable[[Place], str], groups: Iterable[str]) -> None:
        self._at = at
        self.vocabulary: Vocabulary = CIRCUMSTANCES | dict.fromkeys(groups, int)
        """The facts of the household, those that the file counts among them."""
        self._refused = [
            f"{at(('persons', name))}: {name} is a fact already; call those counted otherwise"
            for name in groups
            if name in CIRCUMSTANCES
        ]

    def compile(self, text: str, vocabulary: Vocabulary, gives: type, place: Place) -> Expression:
        """An expression; what is miswritten is told by `finish`."""
        try:
            return expressions.written(text, vocabulary, gives)
        except Miswritten as error:
            where = ".".join(map(str, place))
            remedy = "correct it; `docs/facts.md` lists the facts"
            self._refused.append(f"{self._at(place)}: {where}: {error}; {remedy}")
            return expressions.written("0" if gives is int else "false", vocabulary, gives)

    def groups(self, persons: Mapping[str, documents.Counted]) -> dict[str, Counted]:
        """Which members each group counts, and how often."""
        return {name: self._group(name, group) for name, group in persons.items()}

    def conditions(self, conditions: Iterable[documents.Condition]) -> dict[str, Expression]:
        """What must hold, by the reason of a refusal."""
        return {
            each.reason: self.compile(each.holds, self.vocabulary, bool, ("conditions", at, "holds"))
            for at, each in enumerate(conditions)
        }

    def finish(self) -> None:
        """Raises `FileRefused` where an expression was miswritten."""
        if self._refused:
            raise FileRefused("\n".join(self._refused))

    def _group(self, name: str, group: documents.Counted) -> Counted:
        if group.sum is not None:
            return Counted((self.compile(group.sum, PERSON, int, ("persons", name, "sum")),), once=False)
        rules = (
            self.compile(text, PERSON, bool, ("persons", name, "any_of", at))
            for at, text in enumerate(group.any_of)
        )
        return Counted(tuple(rules), once=group.counts == "each_person_once")
