"""Apache Kafka's jars: named and hashed in `kafka.lock`, fetched once by jgo, checked at each start."""

import fcntl
import hashlib
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path

from jgo.maven import Artifact, MavenContext

from tonle.stack.errors import StackError

LOCK = Path(__file__).parent / "kafka.lock"
COORDINATES = ("org.apache.kafka:kafka_2.13:4.3.1", "org.slf4j:slf4j-simple:1.7.36")
DOWNLOADS_AT_ONCE = 8

Progress = Callable[[int, int], None]


def cache_dir() -> Path:
    """Where downloads are kept, shared by all stacks and clones of one user."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tonle"


def ensure(progress: Progress = lambda _done, _total: None, *, cache: Path | None = None) -> list[Path]:
    """The class path: every jar of `kafka.lock`, downloaded when missing, each with the locked SHA-256.

    `progress(done, total)` is called after each downloaded jar. Raises `StackError` when a jar cannot be
    fetched or is not the locked one.
    """
    folder = cache or cache_dir() / "maven"
    locked = read_lock()
    with _one_at_a_time(folder):
        context = _context(folder)
        jars = {_artifact(context, name): digest for name, digest in locked.items()}
        missing = [jar for jar, digest in jars.items() if not _is_good(_path(jar), digest)]
        with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
            downloads = {pool.submit(_download, jar, jars[jar]): jar for jar in missing}
            try:
                for done, download in enumerate(as_completed(downloads), 1):
                    download.result()
                    progress(done, len(missing))
            except StackError:
                pool.shutdown(cancel_futures=True)
                raise
        return [_path(jar) for jar in jars]


def read_lock() -> dict[str, str]:
    """`group:artifact:version` -> SHA-256 in hexadecimal, in class path order."""
    lines = [line for line in LOCK.read_text().splitlines() if line and not line.startswith("#")]
    return {name: digest for name, _, digest in (line.partition(" ") for line in lines)}


def write_lock(cache: Path) -> None:
    """Resolve `COORDINATES` anew and write `kafka.lock`; for the day Kafka's version changes."""
    context = _context(cache)
    inputs, transitive = context.resolver.resolve([context.create_dependency(c) for c in COORDINATES])
    needed = [*inputs, *(d for d in transitive if d.scope in ("compile", "runtime"))]
    rows = [f"{d.groupId}:{d.artifactId}:{d.version} {_sha256(d.artifact.resolve())}" for d in needed]
    header = "# Written by: python -m tonle.stack.jars\n# group:artifact:version, SHA-256\n"
    LOCK.write_text(header + "\n".join(rows) + "\n")


def _context(folder: Path) -> MavenContext:
    mirror = os.environ.get("TONLE_MAVEN_MIRROR")
    return MavenContext(repo_cache=folder, remote_repos={"mirror": mirror} if mirror else None, timeout=60)


def _artifact(context: MavenContext, name: str) -> Artifact:
    group, artifact, version = name.split(":")
    return context.project(group, artifact).at_version(version).artifact()


def _path(jar: Artifact) -> Path:
    path = jar.cached_path
    assert path is not None
    return path


def _download(jar: Artifact, digest: str) -> None:
    path = _path(jar)
    path.unlink(missing_ok=True)
    try:
        jar.resolve()
    except Exception as error:  # jgo raises what requests, the disk and itself raise
        path.unlink(missing_ok=True)
        raise StackError(
            f"Apache Kafka's {path.name} could not be downloaded ({type(error).__name__}).",
            "Check the network (or set TONLE_MAVEN_MIRROR to a Maven mirror you can reach) and the free "
            f"space under {cache_dir()}, then run the same command again: what arrived is kept.",
        ) from error
    if not _is_good(path, digest):
        path.unlink(missing_ok=True)
        raise StackError(
            f"{path.name} is not the file that {LOCK.name} names: its SHA-256 differs.",
            "Run the same command again; if it happens twice, something between here and the Maven "
            "repository changes files: do not use that network or mirror.",
        )


def _is_good(path: Path, digest: str) -> bool:
    return path.exists() and _sha256(path) == digest


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise StackError(
            f"The download folder {folder} cannot be written: {error.strerror}.",
            "Give yourself the right to write there, or set XDG_CACHE_HOME to a folder of yours.",
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main(arguments: Sequence[str]) -> None:
    """`python -m tonle.stack.jars` writes the lock anew."""
    write_lock(Path(arguments[0]) if arguments else cache_dir() / "maven")


if __name__ == "__main__":
    main(sys.argv[1:])
