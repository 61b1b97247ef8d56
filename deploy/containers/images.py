"""The images: stand-ins for those that cannot be pulled, and ours from `deploy/Dockerfile`."""

from collections.abc import Sequence
from pathlib import Path

from deploy import install
from deploy.containers.downloads import IMAGES
from deploy.containers.steps import StepFailed, run, step

PYTHON = "tonle-stand-in/python"
BUILD = "tonle-stand-in/python-build"
KAFKA = "tonle-stand-in/kafka"
POSTGRES = "tonle-stand-in/postgres"
COMPOSED_AS = {"simulators": "gateway", "cli": "prepare"}  # else by the image's own name
CLASSIC = {"DOCKER_BUILDKIT": "0"}  # Debian's engine comes without buildx


def import_base(archive: Path) -> None:
    """The base system as an image, once per archive."""
    with step("python image") as said:
        tagged = f"{PYTHON}:{archive.stat().st_mtime_ns}"
        try:
            run("docker", "image", "inspect", tagged)
        except StepFailed:
            run("docker", "import", "--change", "ENV LANG=C.UTF-8", "-", tagged, given=archive)
        run("docker", "tag", tagged, PYTHON)
        said.append(size(PYTHON))


def build_stand_in(name: str, context: Path) -> None:
    """One of the stand-ins from its context."""
    with step(f"{name.rpartition('/')[2]} image") as said:
        arguments = ("--build-arg", f"BASE_IMAGE={PYTHON}", "--tag", name)
        run("docker", "build", *arguments, context)
        said.append(size(name))


def settings() -> dict[str, str]:
    """What `docker-compose.yml` and the tests are told, so that they use the stand-ins."""
    return {
        "BASE_IMAGE": PYTHON,
        "BUILD_IMAGE": BUILD,
        "TONLE_KAFKA_IMAGE": KAFKA,
        "TONLE_POSTGRES_IMAGE": POSTGRES,
        "TONLE_VERSION": "check",
        **CLASSIC,
    }


def build_ours(compose: Sequence[str]) -> None:
    """Every image of `docker-compose.yml`, as compose builds it. Raises `StepFailed` for strange contents."""
    for service in IMAGES:
        with step(f"{service} image") as said:
            run(*compose, "build", COMPOSED_AS.get(service, service))
            image = f"tonle/{service}:{settings()['TONLE_VERSION']}"
            said.append(f"{size(image)}, {_files(service, image)} files of ours")


def _files(service: str, image: str) -> int:
    """How many files of ours an image holds. Raises `StepFailed` where one is not its service's."""
    find = "cd /app && find . -type f -not -name '*.pyc'"
    listed = run("docker", "run", "--rm", image, "sh", "-c", find).splitlines()
    strangers = [path for path in listed if not install.belongs(service, path)]
    if strangers or not listed:
        raise StepFailed(f"{image} holds {strangers[:5] or 'nothing'}")
    return len(listed)


def size(image: str) -> str:
    """How much an image holds, for a person."""
    return f"{int(run('docker', 'image', 'inspect', '--format', '{{.Size}}', image)) / 1e6:,.0f} MB"
