"""Notifications as a process: settings in, everything wired."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from prometheus_client import Counter

from contracts import topics, wire
from contracts.topics import Topic
from postbox.message import Handler, Subscription
from postbox.service import Job, Service, ServiceSettings, run
from services.notifications import api, handlers, wording
from services.notifications.gateways.kannel import Kannel
from services.notifications.sending import Limits, Sender
from vault import keyring
from vault.master import MasterKey

FOLDER = Path(__file__).parent
LEASE_TIMEOUTS = 6
"""A claim holds for so many time-outs: half of it to begin requests, two for the last, one to spare."""
MIGRATIONS: Sequence[Path] = (keyring.MIGRATIONS, FOLDER / "migrations")


class Settings(ServiceSettings):
    """`TONLE_…` environment variables of notifications.

    `gateway_report_url`: where delivery reports shall go, with `{sms_id}` in it.
    """

    gateway_url: str
    gateway_user: str
    gateway_password_file: Path
    gateway_report_url: str | None = None
    sms_sender: str
    sms_in_flight: int = 64
    sms_chunk: int = 256
    sms_timeout_s: float = 10.0
    sms_senders: int = 2


def template_files() -> dict[str, str]:
    """The templates as they are shipped: file name -> content."""
    return {path.name: path.read_text() for path in sorted((FOLDER / "templates").glob("*.yaml"))}


def service(settings: Settings) -> Service:
    """The service, ready to run. Raises `TemplateRefused` and `MasterKeyUnusable` before it starts."""
    assert settings.master_key_file is not None, "set TONLE_MASTER_KEY_FILE"
    master = MasterKey.from_file(settings.master_key_file)
    senders = [f"sender-{number}" for number in range(settings.sms_senders)]
    tell_payment = partial(handlers.tell_payment, master, senders)
    outcomes = Counter("notifications_sms", "What became of SMS", ["outcome"], registry=None)
    sender = _sender(settings, master, outcomes)
    built = Service(
        "notifications",
        settings,
        subscriptions=(
            replace(_subscription(topics.HOUSEHOLD_KEY, handlers.keep_keys), wants=handlers.OF_PAYEES),
            _subscription(topics.PAYMENT_ISSUED, tell_payment),
        ),
        router=api.router,
        jobs=(
            *(Job(name, sender.run) for name in senders),
            Job("give-up-lost", sender.give_up_lost, settings.sms_timeout_s / 2),
        ),
        migrations=MIGRATIONS,
    )
    built.metrics.registry.register(outcomes)
    return built


def _subscription(topic: Topic, handler: Handler) -> Subscription:
    decode = partial(wire.decode, topic.contract)
    return Subscription(topic.name, decode, handler, topic.contract, compacted=topic.compacted)


def _sender(settings: Settings, master: MasterKey, outcomes: Counter) -> Sender:
    gateway = Kannel(
        settings.gateway_url,
        settings.gateway_user,
        settings.gateway_password_file.read_text().strip(),
        settings.sms_sender,
        timeout_s=settings.sms_timeout_s,
        report_url=settings.gateway_report_url,
    )
    limits = Limits(settings.sms_chunk, settings.sms_in_flight, LEASE_TIMEOUTS * settings.sms_timeout_s)
    words = wording.load(template_files())
    return Sender(gateway, words, master, f"sender-{uuid4()}", limits, lambda: datetime.now(UTC), outcomes)


if __name__ == "__main__":
    run(service(Settings()))
