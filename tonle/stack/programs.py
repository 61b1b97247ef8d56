"""The programs that run on Kafka and PostgreSQL: the outside world's simulators, then the services."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tonle.stack import access
from tonle.stack.secrets import Secrets
from tonle.stack.topics import BANKS, CALLED, MINISTRIES, PARTNERS, SERVICES

GATEWAY_USER = "tonle"
WITH_CALLED = "TONLE_HTTP_PARTNER"  # where it is set, a partner on HTTP runs, too
NICENESS = {"registration": 10, "eligibility": 5}
SMS_SENDER = "Tonle"  # says nothing of the household to whoever shares the phone


@dataclass(frozen=True)
class Place:
    """What every program may need to know about the stack it runs in. `dsn` holds no password."""

    kafka: str
    topic_prefix: str
    data_dir: Path
    secrets: Secrets
    dsn: Mapping[str, str]
    urls: Mapping[str, str]


@dataclass(frozen=True)
class Program:
    """One program: its command line, its settings besides TONLE_PORT, and the path that says it is ready.

    Without a `ready_path` it is ready once its port accepts connections. `niceness`: a busy machine finishes
    what is in hand before it takes in more, so what stands early in the flow yields to what comes later.
    """

    name: str
    kind: Literal["service", "simulator"]
    command: tuple[str, ...]
    environment: Callable[[Place], Mapping[str, str]]
    ready_path: str | None = "/health/ready"
    niceness: int = 0


def programs() -> tuple[Program, ...]:
    """All of them, in the order they are started."""
    simulators = (
        Program("gateway", "simulator", _python("simulators.gateway"), _gateway, None),
        *(
            Program(f"partner-{name}", "simulator", _python("simulators.partner"), _partner(name), None)
            for name in PARTNERS
        ),
        *(
            Program(f"partner-{name}", "simulator", _python("simulators.partner_http"), _partner(name))
            for name in (CALLED if os.environ.get(WITH_CALLED) else ())
        ),
    )
    services = tuple(
        Program(
            name,
            "service",
            _python(f"services.{name}.app"),
            _service(name),
            niceness=NICENESS.get(name, 0),
        )
        for name in SERVICES
    )
    return simulators + services


def _python(module: str) -> tuple[str, ...]:
    return (sys.executable, "-m", module)


def _everywhere(place: Place) -> dict[str, str]:
    return {
        "TONLE_KAFKA": place.kafka,
        "TONLE_TOPIC_PREFIX": place.topic_prefix,
        "TONLE_DATA_DIR": str(place.data_dir),
    }


def _broker(place: Place, user: str) -> dict[str, str]:
    return {
        "TONLE_KAFKA_USER": user,
        "TONLE_KAFKA_PASSWORD_FILE": str(place.secrets.kafka_password_file(user)),
    }


def _service(name: str) -> Callable[[Place], Mapping[str, str]]:
    own = {"eligibility": _eligibility, "payments": _payments, "notifications": _notifications}.get(name)

    def environment(place: Place) -> Mapping[str, str]:
        return {
            **_everywhere(place),
            **_broker(place, name),
            "TONLE_DATABASE": place.dsn[name],
            "PGPASSFILE": str(place.secrets.passfile(name)),
            "TONLE_ADMIN_TOKEN_FILE": str(place.secrets.admin_token_file),
            "TONLE_MASTER_KEY_FILE": str(place.secrets.master_key),
            **(own(place) if own else {}),
        }

    return environment


def _eligibility(place: Place) -> dict[str, str]:
    keys = {name: str(place.secrets.public_jwk(access.ministry(name))) for name in MINISTRIES}
    return {
        "TONLE_MINISTRIES": json.dumps(keys),
        "TONLE_SIGNING_KEY_FILE": str(place.secrets.jwk("eligibility")),
    }


def _payments(place: Place) -> dict[str, str]:
    partners: dict[str, dict[str, str]] = {
        name: {
            "encrypt_to": str(place.secrets.public_jwk(f"{name}-encrypt")),
            "verify_with": str(place.secrets.public_jwk(f"{name}-sign")),
        }
        for name in PARTNERS
    }
    partners |= {name: _bank(place, name) for name in BANKS}
    partners |= {name: _called(place, name) for name in CALLED if f"partner-{name}" in place.urls}
    return {
        "TONLE_PARTNERS": json.dumps(partners),
        "TONLE_SIGNING_KEY_FILE": str(place.secrets.jwk("payments")),
    }


def _bank(place: Place, name: str) -> dict[str, str]:
    """A bank that is told by files. The debtor is a sample: who runs this for people sets their own."""
    return {
        "kind": "files",
        "open_with": str(place.secrets.jwk(f"{name}-encrypt")),
        "debtor_name": "National Social Assistance Fund",
        "debtor_account": "000111222",
        "debtor_bank": "NBC",
    }


def _called(place: Place, name: str) -> dict[str, str]:
    """A partner that is told over HTTP, and calls back."""
    return {
        "kind": "http",
        "url": place.urls[f"partner-{name}"],
        "open_with": str(place.secrets.jwk(f"{name}-encrypt")),
        "verify_with": str(place.secrets.public_jwk(f"{name}-sign")),
        "receiver_id": name,
        "payer": "account:000111222@nbc",
        "callback_url": f"{place.urls['payments']}/partners/{name}/g2p",
    }


def _notifications(place: Place) -> dict[str, str]:
    return {
        "TONLE_GATEWAY_URL": place.urls["gateway"],
        "TONLE_GATEWAY_USER": GATEWAY_USER,
        "TONLE_GATEWAY_PASSWORD_FILE": str(place.secrets.gateway_password_file),
        "TONLE_GATEWAY_CALLBACK_SECRET_FILE": str(place.secrets.callback_secret_file),
        "TONLE_SMS_SENDER": SMS_SENDER,
        # Sample numbers: who runs this for people sets their own.
        "TONLE_SMS_HOTLINE": os.environ.get("TONLE_SMS_HOTLINE", "023 000 000"),
        "TONLE_SMS_HELPLINE": os.environ.get("TONLE_SMS_HELPLINE", "023 000 001"),
        **_protection(),
        # Nobody sleeps beside a simulated gateway.
        "TONLE_SMS_QUIET_HOURS": os.environ.get("TONLE_SMS_QUIET_HOURS", "none"),
    }


def _protection() -> dict[str, str]:
    """The public half of the protection role's key, where `tonle up` was told one."""
    name = "TONLE_PROTECTION_PUBLIC_KEY_FILE"
    return {name: str(Path(os.environ[name]).absolute())} if name in os.environ else {}


def _gateway(place: Place) -> dict[str, str]:
    return {
        **_everywhere(place),
        "TONLE_GATEWAY_USER": GATEWAY_USER,
        "TONLE_GATEWAY_PASSWORD_FILE": str(place.secrets.gateway_password_file),
        "TONLE_GATEWAY_CALLBACK_SECRET_FILE": str(place.secrets.callback_secret_file),
        **_inbound(place),
    }


def _inbound(place: Place) -> dict[str, str]:
    """Where the gateway tells what people write, as an `sms-service` of Kannel does."""
    url = place.urls.get("notifications")
    return {"TONLE_GATEWAY_INBOUND_URL": f"{url}/gateway/kannel/inbound"} if url else {}


def _partner(name: str) -> Callable[[Place], Mapping[str, str]]:
    def environment(place: Place) -> Mapping[str, str]:
        return {
            **_everywhere(place),
            **(_broker(place, access.partner(name)) if name in PARTNERS else {}),
            "TONLE_PARTNER": name,
            "TONLE_SECRETS": str(place.secrets.folder),
        }

    return environment
