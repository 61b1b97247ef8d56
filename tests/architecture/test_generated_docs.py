"""Documents made from code are as the code is now."""

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest
import yaml

from contracts import flow, topics
from services.eligibility import vocabulary
from tests.architecture import tree
from tonle import asyncapi


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md"])
def test_the_flow_in_a_page_is_the_one_in_the_code(page: str) -> None:
    assert flow.put_into(tree.text(page)) == tree.text(page), f"run: python -m contracts.flow --write {page}"


def test_the_flow_shows_every_topic_with_its_ends() -> None:
    for topic in topics.TOPICS:
        if topic.replaced:
            assert topic.name not in flow.chart()
            continue
        for consumer in topic.consumers or (re.escape(flow.NOBODY),):
            arrow = rf'{topic.producer} -- "[^"]*{re.escape(topic.name)}[^"]*" --> {consumer}\n'
            assert re.search(arrow, flow.chart())
        assert f"| `{topic.name}` | `{topic.contract.__name__}` |" in flow.table()
    assert 'payments -- "partner.*.instruction.v1" --> partner\n' in flow.chart()


def test_a_page_without_a_place_for_the_flow_is_refused() -> None:
    with pytest.raises(flow.MarkersMissing, match="flow:begin"):
        flow.put_into("# A page\n")


def test_the_rest_of_a_page_is_left_alone() -> None:
    flows, tables = (
        "<!-- flow:begin -->\nold\n<!-- flow:end -->",
        "<!-- topics:begin -->\n<!-- topics:end -->",
    )
    assert flow.put_into(f"before\n{flows}\nafter\n{tables}").split("\n") == [
        "before",
        "<!-- flow:begin -->",
        *flow.chart().split("\n"),
        "<!-- flow:end -->",
        "after",
        "<!-- topics:begin -->",
        *flow.table().split("\n"),
        "<!-- topics:end -->",
    ]


def test_a_wrong_argument_is_answered_with_the_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert flow.main(["README.md"]) == asyncapi.main([]) == 2
    assert "--write" in capsys.readouterr().err


def test_the_page_of_facts_is_as_the_code_is() -> None:
    page = "docs/facts.md"
    assert vocabulary.page() == tree.text(page), (
        f"run: python -m services.eligibility.vocabulary --write {page}"
    )


@pytest.mark.parametrize("service", tree.SERVICES)
def test_the_asyncapi_document_is_as_the_code_is(service: str) -> None:
    page = tree.text(f"docs/asyncapi/{service}.yaml")
    assert asyncapi.text(service) == page, "run: python -m tonle.asyncapi --write docs/asyncapi"


def document(service: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(tree.text(f"docs/asyncapi/{service}.yaml"))
    return read


def references(part: object) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for inner in part.values():
            yield from references(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from references(inner)


@pytest.mark.parametrize("service", tree.SERVICES)
def test_every_reference_of_an_asyncapi_document_leads_somewhere(service: str) -> None:
    made = document(service)
    assert list(references(made))
    for reference in references(made):
        part: Any = made
        for step in reference.removeprefix("#/").split("/"):
            part = part[unquote(step)]


@pytest.mark.parametrize("service", tree.SERVICES)
def test_an_asyncapi_document_has_the_shape_of_its_version(service: str) -> None:
    made = document(service)
    assert made["asyncapi"] == "3.0.0"
    for component in made["components"].values():
        assert [key for key in component if not re.fullmatch(r"[a-zA-Z0-9.\-_]+", key)] == []
    assert set(made["operations"]) == set(made["channels"])
    for operation in made["operations"].values():
        assert operation["action"] in {"send", "receive"}
        assert operation["messages"][0]["$ref"].startswith(operation["channel"]["$ref"] + "/messages/")


@pytest.mark.parametrize("service", tree.SERVICES)
def test_an_asyncapi_document_holds_what_the_service_says_and_hears(service: str) -> None:
    made = document(service)
    addresses = {channel["address"]: name for name, channel in made["channels"].items()}
    for topic in topics.TOPICS:
        assert (topic.name in addresses) == (service in (topic.producer, *topic.consumers))
        if topic.name in addresses:
            action = made["operations"][topic.name]["action"]
            assert action == ("send" if topic.producer == service else "receive")
            assert topic.contract.__name__ in made["components"]["schemas"]
    assert topics.dead_letter(service) in addresses
