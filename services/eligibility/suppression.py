"""Counts that the public may read: small ones suppressed, and no difference of others tells one. Pure.

`docs/decisions/0013-small-counts.md` says why, and what was tried.
"""

THRESHOLD = 10
ROUNDED_TO = 2 * THRESHOLD


def shown(count: int, threshold: int = THRESHOLD) -> int | None:
    """The count to the nearest two thresholds; None below the threshold, nobody included.

    What is rounded to twice the threshold is in as much doubt as what is suppressed: subtracting figures of
    groups, overlapping programmes or later reports from each other brings no suppressed count back.
    """
    return (count + threshold) // (2 * threshold) * (2 * threshold) if count >= threshold else None
