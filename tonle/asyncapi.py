"""AsyncAPI 3.0 of each service, made from `topics.py`: `python -m tonle.asyncapi --write docs/asyncapi`.

FastStream describes a broker that exists for this alone; its messages then get the contract's name (its own
names are no AsyncAPI component keys) and what it does not know: key, headers and content type.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Literal

import yaml
from faststream.kafka import KafkaBroker
from faststream.specification import AsyncAPI
from pydantic import JsonValue

from contracts import bundle, topics, wire
from contracts.model import Contract

SERVICES = ("registration", "eligibility", "payments", "notifications")
PARTNER = "{partner}"
Part = dict[str, JsonValue]

_HEADERS: Part = {
    "ce_specversion": "1.0",
    "ce_id": "the same for ever for the same business key (UUIDv5)",
    "ce_type": "the topic's name without its prefix",
    "ce_source": "/tonle/<producer>",
    "ce_time": "when it happened, ISO 8601 with offset",
    "ce_subject": "the record's key",
    "ce_sequence": "the aggregate's version; what is not above the last seen is old",
    "ce_correlationid": "the request or import that all this follows from",
    "ce_causationid": "the event, request or row that caused this",
    "traceparent": "W3C Trace Context",
    "content-type": "of the value",
}


@dataclass(frozen=True)
class Channel:
    """One topic as one service sees it; a partner's has a parameter in its address."""

    address: str
    action: Literal["send", "receive"]
    about: str
    carries: type[Contract] | type[bytes]
    message: str
    key: str
    content_type: bytes

    @property
    def id(self) -> str:
        return self.address.replace(f".{PARTNER}", "")


def channels(service: str) -> Iterator[Channel]:
    """What a service hears and says, in the flow's order, its dead letters last."""
    partners = topics.partner_instruction(PARTNER), topics.partner_report(PARTNER)
    for topic in (*topics.TOPICS, *partners):
        if service not in (topic.producer, *topic.consumers):
            continue
        first = (topic.contract.__doc__ or "").strip().splitlines()[0]
        kept = " Compacted: the last record of each key is kept." if topic.compacted else ""
        if topic in partners:
            kept = f" A token holds one event, or many as a CloudEvents batch ({bundle.CTY})."
        yield Channel(
            topic.name,
            "send" if topic.producer == service else "receive",
            f"{first} Said by {topic.producer}.{kept}",
            topic.contract,
            topic.contract.__name__,
            topic.key,
            wire.JOSE if topic in partners else wire.JSON,
        )
    about = (
        "What could not be handled: the original key, value and headers, with the reason in further headers."
    )
    address = topics.dead_letter(service)
    yield Channel(address, "send", about, bytes, "DeadLetter", "as received", b"application/octet-stream")


def document(service: str) -> Part:
    """The AsyncAPI document of one service."""
    told = list(channels(service))
    broker = KafkaBroker("localhost:9092", description="any broker of the cluster")
    for channel in told:
        _describe(broker, channel)
    api = AsyncAPI(
        broker,
        title=f"Tonle {service}",
        version=version("tonle"),
        description=f"What {service} hears and says on Kafka: CloudEvents 1.0 in binary mode.",
        license={"name": "Apache-2.0"},
        schema_version="3.0.0",
    )
    made: Part = api.to_specification().to_jsonable()
    components, found = _at(made, "components"), _at(made, "channels")
    schemas = {name: schema for name, schema in _at(components, "schemas").items() if ":" not in name}
    fields: Part = {name: {"type": "string", "description": about} for name, about in _HEADERS.items()}
    schemas["Headers"] = {"type": "object", "required": [*fields], "properties": fields}
    made["channels"] = {channel.id: _channel(channel, _at(found, channel.address)) for channel in told}
    made["operations"] = {channel.id: _operation(channel) for channel in told}
    made["components"] = {
        "messages": {channel.message: _message(channel) for channel in told},
        "schemas": dict(sorted(schemas.items())),
    }
    return made


def _describe(broker: KafkaBroker, channel: Channel) -> None:
    async def hear(event: object) -> None: ...

    address, about = channel.address, channel.about
    if channel.action == "send":
        broker.publisher(address, title=address, schema=channel.carries, description=about)
    else:
        hear.__annotations__["event"] = channel.carries
        broker.subscriber(address, title=address, description=about)(hear)


def _channel(channel: Channel, made: Part) -> Part:
    message: Part = {channel.message: {"$ref": f"#/components/messages/{channel.message}"}}
    parameters: Part = {"partner": {"description": "the payment partner's name"}}
    return {**made, "messages": message} | ({"parameters": parameters} if PARTNER in channel.address else {})


def _operation(channel: Channel) -> Part:
    return {
        "action": channel.action,
        "channel": {"$ref": f"#/channels/{channel.id}"},
        "messages": [{"$ref": f"#/channels/{channel.id}/messages/{channel.message}"}],
    }


def _message(channel: Channel) -> Part:
    raw = channel.carries is bytes
    return {
        "name": channel.message,
        "contentType": channel.content_type.decode(),
        "headers": {"$ref": "#/components/schemas/Headers"},
        "payload": {"type": "string", "format": "binary"}
        if raw
        else {"$ref": f"#/components/schemas/{channel.message}"},
        "correlationId": {"location": "$message.header#/ce_correlationid"},
        "bindings": {
            "kafka": {"key": {"type": "string", "description": channel.key}, "bindingVersion": "0.4.0"}
        },
    }


def _at(part: Part, name: str) -> Part:
    inner = part[name]
    assert isinstance(inner, dict)
    return inner


def text(service: str) -> str:
    """The document as YAML, the same for the same flow and contracts."""
    return yaml.safe_dump(document(service), sort_keys=False, allow_unicode=True, width=110)


def main(arguments: Sequence[str]) -> int:
    """`--write FOLDER`; 2 for another argument."""
    match arguments:
        case ["--write", folder]:
            Path(folder).mkdir(parents=True, exist_ok=True)
            for service in SERVICES:
                (Path(folder) / f"{service}.yaml").write_text(text(service), encoding="utf-8")
            return 0
        case _:
            sys.stderr.write("usage: python -m tonle.asyncapi --write FOLDER\n")
            return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
