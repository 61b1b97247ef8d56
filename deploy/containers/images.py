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


def show(service: str) -> None:
    """Print the size of one of our images. Raises `StepFailed` when it holds what it should not."""
    with step(f"{service} image") as said:
        image = f"tonle/{service}:{settings()['TONLE_VERSION']}"
        listing = run("docker", "run", "--rm", image, "sh", "-c", "cd /app && find . -name '*.py'")
        strangers = [path for path in listing.splitlines() if not _belongs(service, path)]
        if strangers or not listing:
            raise StepFailed(f"{image} holds {strangers[:5] or 'nothing'}")
        said.append(f"{size(image)}, {len(listing.splitlines())} modules of ours")


def _belongs(service: str, path: str) -> bool:
    relative = Path(path)
    return any(
        relative.match(pattern) or relative.is_relative_to(pattern) for pattern in install.holds(service)
    )


def size(image: str) -> str:
    """How much an image holds, for a person."""
    return f"{int(run('docker', 'image', 'inspect', '--format', '{{.Size}}', image)) / 1e6:,.0f} MB"


def build_ours(compose: Sequence[str]) -> None:
    """Every image of `docker-compose.yml`, as compose builds them."""
    with step("build") as said:
        run(*compose, "build")
        said.append(f"{len(IMAGES)} images from deploy/Dockerfile")
    for service in IMAGES:
        show(service)
