"""`topics.py` says what the services do: who says what, and who listens."""

import ast
from collections.abc import Iterator

import pytest

from contracts import topics
from contracts.topics import Topic
from tests.architecture import tree

CONSTANTS = {name: value for name, value in vars(topics).items() if isinstance(value, Topic)}


def named(node: ast.AST) -> Iterator[str]:
    """The topics named in a piece of syntax, as `topics.SMS_SENT` or `SMS_SENT`."""
    for inner in ast.walk(node):
        name = inner.attr if isinstance(inner, ast.Attribute) else getattr(inner, "id", "")
        if name in CONSTANTS:
            yield CONSTANTS[name].name


def heard(service: str) -> set[str]:
    """What its `app.py` subscribes to."""
    return {
        topic
        for node in ast.walk(tree.syntax(f"services/{service}/app.py"))
        if isinstance(node, ast.keyword) and node.arg == "subscriptions"
        for topic in named(node.value)
    }


def said(service: str) -> set[str]:
    """What its modules name besides: a service names no topic that it neither hears nor says."""
    everywhere = {topic for path in tree.python(f"services/{service}") for topic in named(tree.syntax(path))}
    return everywhere - heard(service)


@pytest.mark.parametrize("service", tree.SERVICES)
def test_a_service_hears_what_the_flow_says_it_hears(service: str) -> None:
    assert heard(service) == {topic.name for topic in topics.TOPICS if service in topic.consumers}


@pytest.mark.parametrize("service", tree.SERVICES)
def test_a_service_says_what_the_flow_says_it_says(service: str) -> None:
    assert said(service) == {
        topic.name for topic in topics.TOPICS if service == topic.producer and not topic.replaced
    }
