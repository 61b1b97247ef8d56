"""What the client makes of a gateway's answers and failures; it never asks twice by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from services.notifications.gateways.kannel import Kannel
from services.notifications.gateways.outcome import Outcome, Verdict
from tests.integration.notifications.conftest import PHONE
from tonle.stack.process import free_port

Answering = Callable[[int, asyncio.StreamWriter], Awaitable[None]]
OK = b"HTTP/1.1 202 Accepted\r\nContent-Length: 24\r\n\r\n0: Accepted for delivery"


@asynccontextmanager
async def server(answer: Answering, requests: list[bytes]) -> AsyncIterator[str]:
    """A server whose every request is noted and answered as told, by its number."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            try:
                requests.append(await reader.readuntil(b"\r\n\r\n"))
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            await answer(len(requests), writer)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"


@asynccontextmanager
async def served(answer: Answering, requests: list[bytes]) -> AsyncIterator[Kannel]:
    """A client of such a server."""
    async with server(answer, requests) as url:
        client = Kannel(url, "user", "pass", "TONLE", timeout_s=0.5)
        yield client
        await client.close()


def saying(answer: bytes, *, close: bool = False) -> Answering:
    async def say(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        if close:
            writer.close()

    return say


def status(line: str, body: str = "") -> bytes:
    return f"HTTP/1.1 {line}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (OK, Outcome(Verdict.TAKEN)),
        (status("202 Accepted", "3: Queued for later delivery"), Outcome(Verdict.TAKEN)),
        (status("403 Forbidden", "Not routable. Do not try again."), Outcome(Verdict.REFUSED, "gateway-403")),
        (status("400 Bad Request", "Empty receiver"), Outcome(Verdict.REFUSED, "gateway-400")),
        (
            status("403 Forbidden", "Authorization failed for sendsms"),
            Outcome(Verdict.NOT_TAKEN, "gateway-login"),
        ),
        (status("401 Unauthorized"), Outcome(Verdict.NOT_TAKEN, "gateway-login")),
        (status("503 x", "Temporal failure, try again later."), Outcome(Verdict.NOT_TAKEN, "gateway-busy")),
        (status("429 Too Many Requests"), Outcome(Verdict.NOT_TAKEN, "gateway-busy")),
        # A proxy in between may answer these although the gateway took the message.
        (status("503 Service Unavailable", "upstream"), Outcome(Verdict.UNKNOWN, "gateway-503")),
        (status("504 Gateway Timeout"), Outcome(Verdict.UNKNOWN, "gateway-504")),
        (status("200 OK", "welcome to our portal"), Outcome(Verdict.UNKNOWN, "gateway-200")),
        (b"SMTP 220 hello\r\n\r\n", Outcome(Verdict.UNKNOWN, "no-http")),
        (
            b"HTTP/1.1 202 Accepted\r\nContent-Length: 99999\r\n\r\n" + b"x" * 99_999,
            Outcome(Verdict.UNKNOWN, "answer-too-long"),
        ),
        (b"", Outcome(Verdict.UNKNOWN, "timeout")),
    ],
)
async def test_each_answer_has_one_meaning(answer: bytes, outcome: Outcome) -> None:
    requests: list[bytes] = []
    async with served(saying(answer), requests) as client:
        assert await client.send("s-1", PHONE, "text", "gsm-7") == outcome
    assert len(requests) == 1


async def test_a_connection_that_closes_on_a_request_leaves_it_unknown_and_it_is_not_repeated() -> None:
    requests: list[bytes] = []

    async def answer_once(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 1:
            writer.write(OK)
        else:
            writer.close()

    async with served(answer_once, requests) as client:
        assert await client.send("s-1", PHONE, "text", "gsm-7") == Outcome(Verdict.TAKEN)
        # On the connection kept from the first: here general clients repeat a GET by themselves.
        assert await client.send("s-2", PHONE, "text", "gsm-7") == Outcome(Verdict.UNKNOWN, "connection-lost")
    assert len(requests) == 2


async def test_connections_are_kept_and_one_that_says_close_is_not() -> None:
    requests: list[bytes] = []
    closing = OK.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    async with served(saying(closing, close=True), requests) as client:
        for number in range(3):
            assert await client.send(f"s-{number}", PHONE, "text", "gsm-7") == Outcome(Verdict.TAKEN)
    assert len(requests) == 3


async def test_a_late_answer_is_not_taken_for_the_next_message() -> None:
    requests: list[bytes] = []

    async def late_once(number: int, writer: asyncio.StreamWriter) -> None:
        if number == 1:
            await asyncio.sleep(0.7)
        writer.write(status("400 Late") if number == 1 else OK)

    async with served(late_once, requests) as client:
        assert await client.send("s-1", PHONE, "text", "gsm-7") == Outcome(Verdict.UNKNOWN, "timeout")
        assert await client.send("s-2", PHONE, "text", "gsm-7") == Outcome(Verdict.TAKEN)


async def test_each_request_has_its_own_time_though_one_timer_watches_them_all() -> None:
    requests: list[bytes] = []
    answered: dict[str, float] = {}

    async def send(client: Kannel, sms_id: str, after_s: float) -> Verdict:
        await asyncio.sleep(after_s)
        asked = asyncio.get_running_loop().time()
        verdict, _, _ = await client.send(sms_id, PHONE, "text", "gsm-7")
        answered[sms_id] = asyncio.get_running_loop().time() - asked
        return verdict

    async def some(_: int, writer: asyncio.StreamWriter) -> None:
        writer.write(OK if b"s-2" in requests[-1] else b"")

    async with served(some, requests) as client, asyncio.timeout(5):
        sent = await asyncio.gather(*(send(client, f"s-{turn}", turn * 0.1) for turn in range(4)))
    assert sent == [Verdict.UNKNOWN, Verdict.UNKNOWN, Verdict.TAKEN, Verdict.UNKNOWN]
    assert all(answered[each] > 0.45 for each in ("s-0", "s-1", "s-3"))


async def test_a_request_that_is_given_up_closes_its_connection() -> None:
    closed = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        sending.cancel()
        await reader.read()
        closed.set()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        client = Kannel(url, "user", "pass", "TONLE", timeout_s=5)
        sending = asyncio.ensure_future(client.send("s-1", PHONE, "text", "gsm-7"))
        with pytest.raises(asyncio.CancelledError):
            await sending
        await asyncio.wait_for(closed.wait(), 5)


async def test_a_gateway_that_is_not_there_took_nothing() -> None:
    client = Kannel(f"http://127.0.0.1:{free_port()}", "user", "pass", "TONLE", timeout_s=0.5)
    outcome = await client.send("s-1", PHONE, "text", "gsm-7")
    assert outcome == Outcome(Verdict.NOT_TAKEN, "gateway-unreachable")


async def test_the_request_names_the_message_and_where_its_report_goes() -> None:
    requests: list[bytes] = []
    async with server(saying(OK), requests) as url:
        client = Kannel(
            f"{url}/send",
            "us er",
            "p&ss",
            "TONLE",
            timeout_s=1,
            report_url="http://us/reports/{sms_id}?status=%d",
        )
        await client.send("s-1", PHONE, "é", "gsm-7")
        await client.close()
    assert requests[0].split(b"\r\n")[0] == (
        b"GET /send?username=us%20er&password=p%26ss&from=TONLE&charset=UTF-8&coding=0"
        b"&to=%2b%38%35%35%31%32%33%34%35%36%37%38&text=%c3%a9&meta-data=%3Ftonle%3Fsms_id%3Ds-1"
        b"&dlr-mask=19&dlr-url=http%3A%2F%2Fus%2Freports%2Fs-1%3Fstatus%3D%25d HTTP/1.1"
    )
