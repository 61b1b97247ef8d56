"""What the demo's people do: a registrar imports, one officer prepares, others approve."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from tonle.stack.errors import StackError
from tonle.stack.state import StackState

PROGRAMME = "covid-19-cash-transfer"
PERIOD = "2023-06"
REFERENCE_DATE = "2023-06-01"
CYCLE = f"{PROGRAMME}-{PERIOD}"
REGISTRAR, PREPARER, APPROVER = "demo-registrar", "demo-officer-1", "demo-officer-2"
APPROVERS = (APPROVER, "demo-officer-3", "demo-officer-4")
"""As many as the largest envelope takes."""
REGISTRAR_ACTIONS = ("register", "revise", "exit", "read", "import")
UPLOAD_BYTES_AT_ONCE = 256 * 1024


@dataclass(frozen=True)
class Terms:
    """What the demo's cycle may spend, in riel."""

    envelope: int
    cap_household: int = 2_000_000
    cap_payments: int = 10_000_000


class Acts:
    """The demo's people, each with a token of their own; use it as an asynchronous context."""

    def __init__(self, stack: StackState) -> None:
        self._stack = stack
        self._http = httpx.AsyncClient(timeout=120)
        self.tokens: dict[str, str] = {}

    async def __aenter__(self) -> "Acts":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def let_in(self) -> None:
        """The administrator lets the registrar and the officers in."""
        registrar = [f"household.{action}" for action in REGISTRAR_ACTIONS]
        await self._let_in("registration", REGISTRAR, [*registrar, "read"])
        for officer in (PREPARER, *APPROVERS):
            await self._let_in("payments", officer, ["cycle.prepare", "cycle.approve", "read"])

    async def programme(self) -> dict[str, str]:
        """The demo's programme as eligibility would apply it: its hash and purpose."""
        for each in await self._get("eligibility", "/programmes"):
            if each["id"] == PROGRAMME:
                return dict(each)
        raise StackError(f"Eligibility does not know the programme {PROGRAMME}.", "Reinstall Tonle.")

    async def prepare(self, programme: dict[str, str], terms: Terms) -> None:
        """The first officer opens the cycle and asks for its approval."""
        asked = {
            "programme": PROGRAMME,
            "programme_hash": programme["hash"],
            "purpose": programme["purpose"],
            "period": PERIOD,
            "reference_date": REFERENCE_DATE,
            "envelope": terms.envelope,
            "cap_household": terms.cap_household,
            "cap_payments": terms.cap_payments,
        }
        await self._post("payments", "/cycles", PREPARER, asked)
        await self._post("payments", f"/cycles/{CYCLE}/submit", PREPARER)

    async def approves_own(self) -> str:
        """The first officer tries to approve what they prepared; returns the refusal's words."""
        answer = await self._http.post(
            f"{self._url('payments')}/cycles/{CYCLE}/approve", headers=self._as(PREPARER), json={}
        )
        if answer.status_code != httpx.codes.FORBIDDEN:
            raise StackError("An officer could approve what they prepared.", "Rule 6 is broken: report it.")
        return str(answer.json()["title"])

    async def approve(self, cycle: str = CYCLE) -> list[str]:
        """As many officers approve as it takes, none of them the first; returns who they were."""
        asked: list[str] = []
        for officer in APPROVERS:
            asked.append(officer)
            said = await self._post("payments", f"/cycles/{cycle}/approve", officer, {"reason": "demo"})
            if not said.json()["approvals_missing"]:
                break
        return asked

    async def upload(self, file: Path) -> str:
        """The registrar imports a file; returns the import's id."""
        answer = await self._http.post(
            f"{self._url('registration')}/imports",
            headers={
                **self._as(REGISTRAR),
                "Content-Disposition": f'attachment; filename="{file.name}"',
            },
            content=_parts(file),
        )
        return str(_checked(answer).json()["import_id"])

    async def provinces(self) -> dict[str, int]:
        """Riel issued in the cycle by province code."""
        summary = await self._get("payments", f"/summary?cycle={CYCLE}")
        return {str(code): int(riel) for code, riel in summary["provinces"].items()}

    async def sms_sent(self, most: int = 200) -> list[dict[str, object]]:
        """Some SMS that were sent: ids, language, household; no text."""
        return list(await self._get("notifications", f"/sms?state=sent&most={most}"))

    async def text_of(self, sms_id: str) -> str:
        """What the telephone shows: the gateway's inbox alone knows it."""
        inbox = f"{self._stack.simulators['gateway'].url}/inbox?sms_id={sms_id}"
        return str(_checked(await self._http.get(inbox)).json()[0]["text"])

    async def quarantined(self) -> list[dict[str, object]]:
        """The first rows that were not registered."""
        url = f"{self._url('registration')}/quarantine?most=5"
        return list(_checked(await self._http.get(url, headers=self._as(REGISTRAR))).json())

    async def _let_in(self, service: str, name: str, actions: Sequence[str]) -> None:
        answer = await self._http.post(
            f"{self._url(service)}/callers",
            headers=self._as_admin(),
            json={"name": name, "actions": list(actions)},
        )
        self.tokens[name] = str(_checked(answer).json()["token"])

    async def _post(self, service: str, path: str, who: str, body: object = None) -> httpx.Response:
        url = f"{self._url(service)}{path}"
        return _checked(await self._http.post(url, headers=self._as(who), json=body))

    async def _get(self, service: str, path: str):  # type: ignore[no-untyped-def]  # JSON of that service
        return _checked(await self._http.get(f"{self._url(service)}{path}", headers=self._as_admin())).json()

    def _url(self, service: str) -> str:
        return self._stack.services[service].url

    def _as(self, who: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens[who]}"}

    def _as_admin(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._stack.tokens['admin']}"}


async def _parts(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while part := source.read(UPLOAD_BYTES_AT_ONCE):
            yield part


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    path = answer.request.url.path
    try:
        problem = answer.json()
        raise StackError(f"{path}: {problem['title']}.", str(problem.get("detail", "")))
    except (ValueError, KeyError):
        raise StackError(f"{path} answered {answer.status_code}.", "See that service's log.") from None
