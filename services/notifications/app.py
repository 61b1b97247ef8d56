"""Notifications as a process: settings in, everything wired."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from uuid import uuid4

from contracts import topics, versions
from contracts.model import Contract
from contracts.topics import Topic
from postbox.message import Handler, Subscription
from postbox.service import Job, Service, ServiceSettings, run
from services.notifications import api, handlers, heard
from services.notifications.counters import Counters
from services.notifications.gateways.callbacks import Callbacks
from services.notifications.gateways.intake import Intake
from services.notifications.gateways.options import GatewayOptions
from services.notifications.gateways.outcome import Gateway
from services.notifications.handlers import Desk
from services.notifications.inbox_options import InboxOptions
from services.notifications.office import Office
from services.notifications.reminding import EVERY_S, Reminder
from services.notifications.sending import Sender
from services.notifications.telling_complaints import Complaints
from vault import keyring
from vault.master import MasterKey

FOLDER = Path(__file__).parent
Wants = Callable[[bytes], bool] | None
_now = partial(datetime.now, UTC)
FORGET_EVERY_S, LONG_EVERY_S = 3600.0, 15.0
MIGRATIONS: Sequence[Path] = (keyring.MIGRATIONS, FOLDER / "migrations")


class Settings(ServiceSettings, GatewayOptions, InboxOptions):
    """`TONLE_…` environment variables of notifications."""

    sms_senders: int = 2
    batch_records: int = 3000
    gather_ms: int = 500


def service(settings: Settings) -> Service:
    """The service, ready to run. Raises `TemplateRefused` and `MasterKeyUnusable` before it starts."""
    assert settings.master_key_file is not None, "set TONLE_MASTER_KEY_FILE"
    master = MasterKey.from_file(settings.master_key_file)
    senders = [f"sender-{number}" for number in range(settings.sms_senders)]
    desk = Desk(master, settings.policy, senders)
    counters = Counters()
    intake = Intake(_now, counters.told, settings.resend_unknown)
    inbox = settings.inbox(master, senders, counters.messages)
    complaints = Complaints(master, settings.wording, settings.manners.quiet, senders)
    gateway = settings.gateway(intake, inbox.receive)
    sender = _sender(settings, gateway, master, counters)
    built = Service(
        "notifications",
        settings,
        subscriptions=(
            *(_listen(topic, handlers.keep_keys) for topic in (topics.HOUSEHOLD_KEYS, topics.HOUSEHOLD_KEY)),
            _listen(topics.HOUSEHOLD_REGISTERED, desk.hear_of_household, heard.HouseholdHeard),
            _listen(topics.ELIGIBILITY_SCORED, desk.hear_of_standing, heard.ScoredHeard, desk.is_wanted),
            _listen(topics.PAYMENT_ISSUED, desk.hear_of_payment, heard.IssuedHeard),
            _listen(topics.PAYMENT_UPDATED, desk.tell_payment, heard.UpdatedHeard),
            _listen(topics.MILESTONE_REACHED, desk.tell_milestone),
            _listen(topics.GRIEVANCE_OPENED, complaints.tell),
            _listen(topics.GRIEVANCE_UPDATED, complaints.tell),
        ),
        router=api.routes(settings.wording, settings.sms_prices_riel, _now),
        state=Office(Callbacks(settings.callback_secret, intake, inbox.receive, counters.told), inbox),
        jobs=(
            *intake.jobs(gateway, settings.receipts_every_s),
            *(Job(name, sender.run) for name in senders),
            Job("give-up-lost", sender.give_up_lost, settings.sms_timeout_s / 2),
            Job("remind", Reminder(settings.sms_reminder_days, _now, senders).run, EVERY_S),
            Job("forget-messages", inbox.forget_old, FORGET_EVERY_S),
            Job("long-messages", inbox.end_overdue, LONG_EVERY_S),
        ),
        migrations=MIGRATIONS,
    )
    intake.service = inbox.service = built
    counters.register(built.metrics.registry)
    return built


def _listen(
    topic: Topic, handler: Handler, heard_as: type[Contract] | None = None, wants: Wants = None
) -> Subscription:
    decode, decode_all = versions.decoders(topic, heard_as)
    said, table = (topic.name, decode, handler, topic.contract), topic.compacted
    return Subscription(*said, compacted=table, wants=wants, decode_all=decode_all)


def _sender(settings: Settings, gateway: Gateway, master: MasterKey, counters: Counters) -> Sender:
    process, limits = f"sender-{uuid4().hex[:12]}", settings.limits
    return Sender(gateway, settings.wording, master, settings.manners, process, limits, _now, counters)


if __name__ == "__main__":
    run(service(Settings()))
