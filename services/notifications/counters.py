"""What is counted of SMS as metrics: what became of them, by operator; never whose they are."""

from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter

from services.notifications.sms import Result


class Counters:
    """`notifications_sms_total` by outcome, `…_segments_total` by operator, `…_not_sent_total` by reason.

    `told` counts what gateways said afterwards, `messages` SMS that came in, by kind.
    """

    def __init__(self) -> None:
        self.outcomes = Counter("notifications_sms", "What became of SMS", ["outcome"], registry=None)
        self.told = Counter(
            "notifications_told_by_gateway", "Receipts and calls of gateways", ["what"], registry=None
        )
        self.messages = Counter("notifications_messages", "SMS that came in", ["kind"], registry=None)
        self._segments = Counter(
            "notifications_sms_segments", "Segments handed over", ["operator"], registry=None
        )
        self._reasons = Counter("notifications_sms_not_sent", "SMS not sent", ["reason"], registry=None)

    def register(self, registry: CollectorRegistry) -> None:
        """Let them be read."""
        for each in (self.outcomes, self.told, self.messages, self._segments, self._reasons):
            registry.register(each)

    def count(self, written: Iterable[Result]) -> None:
        """What became of claimed SMS, as far as it was written."""
        ended = list(written)
        for state, count in Tally(result.state for result in ended).items():
            self.outcomes.labels(state).inc(count)
        segments = Tally[str]()
        for result in ended:
            if result.state == "sent":
                segments[result.operator or "other"] += result.segments or 0
        for operator, count in segments.items():
            self._segments.labels(operator).inc(count)
        reasons = Tally(result.reason for result in ended if result.state == "none" and result.reason)
        for reason, count in reasons.items():
            self._reasons.labels(reason).inc(count)
