"""Writing files so that a reader sees the old one or the new one, never half of one."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def atomic_write(path: str | Path, write: Callable[[Path], None]) -> None:
    """Write a file beside its target, flush it to disk, then move it into place.

    Parameters
    ----------
    path : str or Path
        Target file. Missing parent folders are made.
    write : callable
        Called with the temporary path; it writes the whole file there.

    Raises
    ------
    OSError
        If the folder cannot be written or the disk is full. A file that stood at ``path`` is untouched.
    """
    path = Path(path)
    temporary: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        with open(temporary, "rb+") as written:
            os.fsync(written.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        os.replace(temporary, path)
    except OSError as error:
        raise explained(error, path, "A file that was there is untouched") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def explained(error: OSError, path: Path, state: str) -> OSError:
    """The same error with a text that says what could not be written, what became of it, and what to do."""
    reason = error.strerror or str(error)
    return type(error)(
        error.errno,
        f"cannot write {path}: {reason}. {state}; free space or choose a folder you can write to, then run again",
    )


def write_text(path: str | Path, text: str) -> None:
    """Write text (UTF-8) atomically; see `atomic_write`."""
    write_bytes(path, text.encode())


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write bytes atomically; see `atomic_write`."""

    def write(temporary: Path) -> None:
        temporary.write_bytes(data)

    atomic_write(path, write)
