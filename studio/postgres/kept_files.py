"""Small files that are made once and then kept, such as passwords, the secret key and the port."""

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from studio.clerk import TooSlow, lock


class StartFailure(SystemExit):
    """An error that its message explains: what is wrong and what to do, in one sentence.

    It is a SystemExit because the settings read these files while they are imported. Uncaught, it ends the
    program with the sentence and code 1, and without a traceback.
    """


def make_dir(path: Path) -> None:
    """Make a directory and its missing parents, whatever the umask is."""
    # root's can be passed through, because the database runs as another user and must reach its files
    mode = 0o711 if os.geteuid() == 0 else 0o700
    try:
        for part in [*reversed(path.parents), path]:
            if not part.exists():
                part.mkdir(exist_ok=True)
                part.chmod(mode)
    except OSError as error:
        raise unwritable(path, error) from None


def make_once(path: Path, make: Callable[[], str]) -> str:
    """Return the text of a file with mode 0600; the first call writes it, even if several processes start at once."""
    try:
        return path.read_text()
    except (FileNotFoundError, NotADirectoryError):
        make_dir(path.parent)
    except OSError as error:
        raise unreadable(path, error) from None
    try:
        temporary = write_beside(path, make())
        try:
            # Unlike a rename, a link does not replace the file that another process has made meanwhile.
            os.link(temporary, path)
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
        return path.read_text()
    except OSError as error:
        raise unwritable(path.parent, error) from None


def replace(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace a file in one step, so that it is never half written."""
    try:
        temporary = write_beside(path, text)
        temporary.chmod(mode)
        temporary.replace(path)
    except OSError as error:
        raise unwritable(path.parent, error) from None


def write_beside(path: Path, text: str) -> Path:
    """Write a new file with mode 0600 and a unique name in the same directory."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(handle, "w") as file:
        file.write(text)
        # on the disk before it gets its name: after a crash no file is empty
        file.flush()
        os.fsync(handle)
    return Path(name)


@contextmanager
def locked(path: Path, *, wait: float = 0, shared: bool = False) -> Iterator[bool]:
    """Hold a lock on a file until the block or the process ends; yield False if it is taken for `wait` seconds.

    Those who hold a `shared` one do not take it from each other.
    """
    make_dir(path.parent)
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise unwritable(path.parent, error) from None
    try:
        tighten(handle)
        lock(handle, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, wait)
    except TooSlow:
        os.close(handle)
        yield False
        return
    try:
        yield True
    finally:
        os.close(handle)


def tighten(handle: int) -> None:
    """Keep others out of an open file of ours: whoever can open one can take its lock."""
    state = os.fstat(handle)
    if state.st_mode & 0o077 and state.st_uid == os.geteuid():
        os.fchmod(handle, 0o600)


def unwritable(path: Path, error: OSError) -> StartFailure:
    """Describe a directory that cannot be written to."""
    return StartFailure(
        f"Cannot write to {path} ({error.strerror}): set DATA_DIR to a directory that this user may write to."
    )


def unreadable(path: Path, error: OSError) -> StartFailure:
    """Describe a kept file that cannot be read."""
    return StartFailure(
        f"Cannot read {path} ({error.strerror}): run as the user who made it, "
        "or set DATA_DIR to a directory of your own."
    )
