"""Who may do what on the broker, as a table."""

import pytest

from tonle.stack.access import ADMIN, AUDITOR, Operation, Resource, rules, users
from tonle.stack.topics import SERVICES

RULES = rules("p.")
TOPICS = {(rule.user, rule.operation.name, rule.name) for rule in RULES if rule.resource is Resource.TOPIC}


def names(user: str, operation: str) -> set[str]:
    return {name.removeprefix("p.") for who, what, name in TOPICS if (who, what) == (user, operation)}


@pytest.mark.parametrize(
    ("user", "writes", "reads"),
    [
        (
            "registration",
            {
                "household.registered.v1",
                "household.exited.v1",
                "household.key.v1",
                "household.key.v2",
                "condition.reported.v1",
                "grievance.opened.v1",
                "grievance.updated.v1",
            },
            {"message.received.v1"},
        ),
        (
            "eligibility",
            {
                "eligibility.scored.v1",
                "eligibility.completed.v1",
                "appeal.decided.v1",
                "milestone.reached.v1",
                "shock.declared.v1",
                "shock.ended.v1",
                "referral.made.v1",
            },
            {
                "household.registered.v1",
                "household.exited.v1",
                "household.key.v1",
                "household.key.v2",
                "cycle.changed.v1",
                "condition.reported.v1",
            },
        ),
        (
            "payments",
            {
                "cycle.changed.v1",
                "envelope.changed.v1",
                "hold.changed.v1",
                "payment.issued.v1",
                "payment.updated.v1",
                "partner.wing.instruction.v1",
                "partner.acleda.instruction.v1",
                "partner.truemoney.instruction.v1",
            },
            {
                "partner.acleda.instruction.v1",
                "partner.truemoney.instruction.v1",
                "household.exited.v1",
                "household.key.v1",
                "household.key.v2",
                "eligibility.scored.v1",
                "eligibility.completed.v1",
                "partner.wing.report.v1",
            },
        ),
        (
            "notifications",
            {"sms.sent.v1", "sms.updated.v1", "message.received.v1"},
            {
                "grievance.opened.v1",
                "grievance.updated.v1",
                "household.key.v1",
                "household.key.v2",
                "household.registered.v1",
                "eligibility.scored.v1",
                "payment.issued.v1",
                "payment.updated.v1",
                "milestone.reached.v1",
            },
        ),
        ("partner-wing", {"partner.wing.report.v1"}, {"partner.wing.instruction.v1"}),
        ("ministry-health", set(), {"referral.made.v1"}),
        ("ministry-labour", set(), {"referral.made.v1"}),
    ],
)
def test_a_user_writes_and_reads_what_the_flow_says(user: str, writes: set[str], reads: set[str]) -> None:
    own = set() if user not in SERVICES else {f"{user}.dead-letter.v1"}
    assert (names(user, "WRITE"), names(user, "READ")) == (writes | own, reads)


def test_a_topic_has_one_writer() -> None:
    written = [name for _, what, name in TOPICS if what == "WRITE"]
    assert written
    assert len(written) == len(set(written))


def test_the_auditor_reads_every_topic_and_writes_none() -> None:
    assert names(AUDITOR, "WRITE") == set()
    assert {f"p.{name}" for name in names(AUDITOR, "READ")} == {name for _, _, name in TOPICS}


def test_a_service_joins_its_own_group_alone() -> None:
    groups = {(rule.user, rule.name) for rule in RULES if rule.resource is Resource.GROUP}
    assert groups == {(each, f"p.{each}") for each in SERVICES} | {(AUDITOR, "*")}
    assert {rule.operation for rule in RULES if rule.user == AUDITOR and rule.name == "*"} == {
        Operation.DESCRIBE
    }


def test_everybody_but_the_admin_lives_by_rules() -> None:
    assert {rule.user for rule in RULES} == set(users()) - {ADMIN}
