"""Counters of processes that come and go, added up: of each life the last value seen counts. Pure."""

import re

_ABSORBED = re.compile(r'^postbox_duplicates_absorbed_total\{guard="([^"]+)"\} ([0-9.e+]+)$', re.M)


class Tally:
    """Duplicates absorbed, by guard; what a process counted after it was read last is missing."""

    def __init__(self) -> None:
        self._lives: dict[str, dict[str, int]] = {}

    def take(self, life: str, metrics: str) -> None:
        """Note what one process's `/metrics` says now; `life` names the process and its start."""
        found = {guard: int(float(count)) for guard, count in _ABSORBED.findall(metrics)}
        self._lives.setdefault(life, {}).update(found)

    def absorbed(self) -> dict[str, int]:
        """By guard."""
        sums: dict[str, int] = {}
        for counts in self._lives.values():
            for guard, count in counts.items():
                sums[guard] = sums.get(guard, 0) + count
        return sums
