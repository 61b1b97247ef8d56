"""Payments as a process: its settings, what it listens to, and what it works with."""

from datetime import timedelta
from functools import partial
from pathlib import Path

from pydantic import Field

from contracts import topics, versions
from postbox.message import Handler, Subscription
from postbox.service import Service, ServiceSettings, run
from services.payments import handlers, jobs, routes
from services.payments.handlers import Office
from services.payments.heard import ScoredHeard
from services.payments.options import PolicyOptions
from services.payments.partners.options import (
    Exchange,
    Partner,
    PartnerOptions,
    count_partitions,
    partners_of,
)
from services.payments.partners.served import ServedPartner
from services.payments.states import Patience
from vault import jose, keyring
from vault.master import MasterKey

MIGRATIONS = Path(__file__).parent / "migrations"


class PaymentsSettings(PolicyOptions, ServiceSettings):
    """`partners` by name: the first pays who has no account.

    A partner is asked about a payment after so many seconds without a report (after `settlement_timeout_s`,
    where it accepted it); a payee has `withdrawal_days` to collect.
    """

    master_key_file: Path
    signing_key_file: Path
    partners: dict[str, PartnerOptions] = Field(min_length=1)
    report_timeout_s: float = Field(default=3600, gt=0)
    settlement_timeout_s: float = Field(default=31 * 86_400, gt=0)
    withdrawal_days: int = Field(default=30, ge=1)


def office_of(settings: PaymentsSettings) -> handlers.Office:
    """Keys read once: importing one costs more than signing with it."""
    sign_with = jose.read_keys(settings.signing_key_file, "Ed25519")
    return handlers.Office(
        MasterKey.from_file(settings.master_key_file),
        partners_of(settings.partners, sign_with),
        Patience(timedelta(0, settings.report_timeout_s), timedelta(0, settings.settlement_timeout_s)),
        timedelta(days=settings.withdrawal_days),
        settings.retrying,
        settings.recover_percent,
        Exchange.of(settings.data_dir / "partners", settings.partners, sign_with[0]),
        settings.approvers,
        settings.screen,
        settings.limits,
        settings.confirm_payees,
    )


def service_of(settings: PaymentsSettings) -> Service:
    """The service, not started yet."""
    office = office_of(settings)
    return Service(
        "payments",
        settings,
        subscriptions=[
            *(_listen(topic, handlers.keep_keys) for topic in (topics.HOUSEHOLD_KEYS, topics.HOUSEHOLD_KEY)),
            _listen(topics.ELIGIBILITY_SCORED, partial(handlers.score, office), ScoredHeard),
            _listen(topics.ELIGIBILITY_COMPLETED, handlers.complete),
            *(_of_partner(office, partner) for partner in office.partners.values()),
            _listen(topics.HOUSEHOLD_EXITED, partial(handlers.leave, office)),
        ],
        router=routes.of(office),
        jobs=jobs.beside(office),
        migrations=[keyring.MIGRATIONS, MIGRATIONS],
        prepare=partial(count_partitions, office.partners.values()),
        state=office,
    )


def _listen(topic: topics.Topic, handler: Handler, heard_as: type[ScoredHeard] | None = None) -> Subscription:
    decode, decode_all = versions.decoders(topic, heard_as)
    said, table = (topic.name, decode, handler, topic.contract), topic.compacted
    return Subscription(*said, holds=not table, compacted=table, decode_all=decode_all)


def _of_partner(office: Office, partner: Partner) -> Subscription:
    if isinstance(partner, ServedPartner):
        topic, decode = partner.instructions, partner.read_instruction
        return Subscription(topic.name, decode, handlers.queue, topic.contract, holds=True)
    topic, hear = partner.reports, partial(handlers.report, office)
    return Subscription(topic.name, partner.read_report, hear, topic.contract, holds=True)


if __name__ == "__main__":
    run(service_of(PaymentsSettings()))
