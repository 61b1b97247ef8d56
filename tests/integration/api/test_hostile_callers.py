"""Each service's API is fuzzed by its own description (schemathesis), by somebody who may do everything."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import httpx
import pytest

from postbox.service import Service
from services.eligibility import app as eligibility
from services.notifications import app as notifications
from services.payments import app as payments
from services.registration import app as registration
from tests.conftest import MakeSettings
from tests.integration.payments.conftest import partner_keys
from tonle.stack.secrets import Secrets
from vault import keyring

pytestmark = pytest.mark.stack

EXAMPLES_PER_OPERATION = 8
SEED = 4
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
)
EVERYTHING = [
    "callers.manage", "operate", "read", "cycle.approve", "cycle.prepare", "household.exit",
    "household.decide", "household.duplicates", "household.import", "household.read", "household.register",
    "household.revise",
]  # fmt: skip
OPEN = {"/health/live", "/health/ready", "/metrics"}
BY_SECRET = {"/gateway/kannel/inbound", "/gateway/kannel/receipt"}
BY_SIGNATURE = {"/partners/{partner}/g2p/on-disburse", "/partners/{partner}/g2p/txn/on-status"}
"""The gateway shows a secret of its own; without one nobody is let in."""
Make = Callable[[MakeSettings, Secrets], Awaitable[Service]]


async def _registration(settings: MakeSettings, _: Secrets) -> Service:
    migrations = [keyring.MIGRATIONS, registration.MIGRATIONS]
    return registration.service(await settings(registration.RegistrationSettings, "registration", migrations))


async def _eligibility(settings: MakeSettings, _: Secrets) -> Service:
    return eligibility.service(
        await settings(eligibility.EligibilitySettings, "eligibility", eligibility.MIGRATIONS)
    )


async def _payments(settings: MakeSettings, secrets: Secrets) -> Service:
    migrations = [keyring.MIGRATIONS, payments.MIGRATIONS]
    keys = partner_keys(secrets)
    return payments.service_of(await settings(payments.PaymentsSettings, "payments", migrations, **keys))


async def _notifications(settings: MakeSettings, secrets: Secrets) -> Service:
    told = await settings(
        notifications.Settings,
        "notifications",
        notifications.MIGRATIONS,
        gateway_url="http://127.0.0.1:1",
        gateway_user="u",
        gateway_password_file=secrets.gateway_password_file,
        sms_sender="Tonle",
    )
    return notifications.service(told)


SERVICES: Mapping[str, Make] = {
    "registration": _registration,
    "eligibility": _eligibility,
    "payments": _payments,
    "notifications": _notifications,
}


@pytest.mark.more
@pytest.mark.parametrize("name", SERVICES)
async def test_whatever_is_sent_the_answer_is_as_described(
    name: str, service_settings: MakeSettings, secrets: Secrets, tmp_path: Path
) -> None:
    async with (await SERVICES[name](service_settings, secrets)).running() as service:
        said = await _fuzz(service.url, await _token(service.url, secrets), tmp_path)
        assert said == "", said


@pytest.mark.parametrize("name", SERVICES)
async def test_without_a_token_nothing_is_answered_but_health(
    name: str, service_settings: MakeSettings, secrets: Secrets
) -> None:
    service = await SERVICES[name](service_settings, secrets)
    async with service.running(), httpx.AsyncClient(verify=False, base_url=service.url) as client:
        paths = (await client.get("/openapi.json")).json()["paths"]
        operations = [(method, path) for path, methods in paths.items() for method in methods]
        for headers in ({}, {"Authorization": "Bearer guessed"}, {"Authorization": "Basic YTpi"}):
            answered = {
                path
                for method, path in operations
                if (await client.request(method, re.sub(r"\{\w+\}", "1", path), headers=headers)).status_code
                != 401
            }
            assert answered - BY_SECRET - BY_SIGNATURE == OPEN, headers
        assert {(await client.get(path)).status_code for path in answered & BY_SECRET} <= {404}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/payments?household=%00", 422),
        ("GET", "/cycles/%00", 422),
        ("DELETE", "/callers/%00", 422),
        ("GET", "/parked/9223372036854775808", 422),
        ("GET", f"/parked?after={10**30}", 422),
        ("GET", "/parked/9223372036854775807", 404),
        ("GET", "/nowhere", 404),
        ("PATCH", "/cycles", 405),
    ],
)
async def test_what_no_column_holds_and_nobody_offers_is_a_problem_of_the_caller_s(
    method: str, path: str, status: int, service_settings: MakeSettings, secrets: Secrets
) -> None:
    async with (await _payments(service_settings, secrets)).running() as service:
        headers = {"Authorization": f"Bearer {await _token(service.url, secrets)}"}
        async with httpx.AsyncClient(verify=False, base_url=service.url, headers=headers) as client:
            answer = await client.request(method, path)
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert answer.json()["status"] == status


async def test_an_action_is_a_name(service_settings: MakeSettings, secrets: Secrets) -> None:
    async with (await _payments(service_settings, secrets)).running() as service:
        headers = {"Authorization": f"Bearer {secrets.admin_token}"}
        async with httpx.AsyncClient(verify=False, base_url=service.url, headers=headers) as client:
            new = {"name": "one", "actions": ["read", "re\0ad"], "area": ""}
            assert (await client.post("/callers", json=new)).status_code == 422


async def _token(url: str, secrets: Secrets) -> str:
    headers = {"Authorization": f"Bearer {secrets.admin_token}"}
    async with httpx.AsyncClient(verify=False, base_url=url, headers=headers) as client:
        new = {"name": "hostile", "actions": EVERYTHING, "area": ""}
        answer = (await client.post("/callers", json=new)).json()
        return str(answer["token"])


async def _fuzz(url: str, token: str, folder: Path) -> str:
    """What schemathesis found, as it prints it; empty when nothing."""
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.executable).with_name("schemathesis")), "run", f"{url}/openapi.json"),
        *("--header", f"Authorization: Bearer {token}", "--checks", ",".join(CHECKS)),
        *("--phases", "coverage,fuzzing", "--max-examples", str(EXAMPLES_PER_OPERATION)),
        *("--seed", str(SEED), "--generation-database", "none", "--suppress-health-check", "all"),
        *("--warnings", "off", "--no-color"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=folder,
    )
    said, _ = await process.communicate()
    return said.decode() if process.returncode else ""
