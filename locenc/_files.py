"""Files that are whole or absent: written beside their place and moved there, read with an error that names them."""

import contextlib
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

try:
    import fcntl
except ModuleNotFoundError:  # Windows: two processes in one folder go unnoticed there
    fcntl = None  # type: ignore[assignment]


#: Largest file of settings that is read: 16 MiB.
MAX_JSON = 2**24


def as_path(value: Any, name: str = "path") -> Path:
    """A path.

    Raises
    ------
    TypeError
        For what is neither text nor a path.
    ValueError
        For an empty text, or one that no file system takes.
    """
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be text or a path, got {type(value).__name__} {value!r:.60}")
    text = os.fspath(value)
    if not isinstance(text, str) or not text or "\0" in text:
        raise ValueError(f"{name} must name a file or folder, got {text!r:.60}")
    return Path(text)


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

    Notes
    -----
    A process that is killed leaves a hidden folder beside the target; the next to write the same file removes it.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _workplace(path) as folder:
            temporary = folder / path.name
            write(temporary)
            with open(temporary, "rb+") as written:
                os.fsync(written.fileno())
            os.replace(temporary, path)
    except OSError as error:
        raise explained(error, path, "A file that was there is untouched") from error


@contextlib.contextmanager
def _workplace(path: Path) -> Iterator[Path]:
    """A folder beside a file that is to be written; those that killed processes left for the same file are removed."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with _held(left) as held:
            if held:
                shutil.rmtree(left, ignore_errors=True)
    held = False
    while held is False:  # another process may take it for left over before it is held
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent))
        with _held(folder) as held:
            if held is not False:
                try:
                    yield folder
                finally:
                    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[bool | None]:
    """Lock a folder, as long as the process lives at most: False if another has it or it is gone, None if none can."""
    if fcntl is None:
        yield None
        return
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        yield False if isinstance(error, FileNotFoundError) else None
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held: bool | None = folder.exists()
        except BlockingIOError:
            held = False
        except OSError:  # a file system without locks of folders
            held = None
        yield held
    finally:
        os.close(handle)


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


def write_array(path: str | Path, array: "NDArray[Any]") -> None:
    """Write an array as ``.npy`` atomically; see `atomic_write`."""
    import numpy as np  # the help of the command lines comes without it

    def write(temporary: Path) -> None:
        with temporary.open("wb") as file:
            np.save(file, array)

    atomic_write(path, write)


def read_json(path: str | Path, *, remedy: str) -> dict[str, Any]:
    """Read a JSON object.

    Parameters
    ----------
    path : str or Path
        The file.
    remedy : str
        What to do if it is damaged: the end of the message.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is no JSON object.
    """
    try:
        content = parse_json(read_settings(path))
    except ValueError as error:
        raise ValueError(f"{path} is damaged or cut short ({error}); {remedy}") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} is damaged: it holds a {type(content).__name__} instead of an object; {remedy}")
    return content


def read_settings(path: str | Path) -> bytes:
    """Content of a file of settings.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is larger than any settings are.
    """
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size  # read() takes the memory that it is told, whatever there is
        content = file.read(min(size, MAX_JSON) + 1)
    if len(content) > MAX_JSON:
        raise ValueError(f"it is larger than {MAX_JSON:,} bytes")
    return content


def parse_json(text: str | bytes) -> Any:
    """What a text in JSON says.

    Raises
    ------
    ValueError
        If it is none, names one key twice in an object, or is nested too deep.
    """
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r:.80} stands there twice")
    return content


def make_folder(path: str | Path) -> None:
    """Make a folder and its parents; an error names the folder and what to do."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explained(error, Path(path), "Nothing was changed") from error


@contextlib.contextmanager
def only_one(folder: str | Path, work: str) -> Iterator[None]:
    """Hold a folder for one process: a second one that wants it is refused.

    The lock is the system's: it ends with the process, however that ends.

    Parameters
    ----------
    folder : str or Path
        Made if missing. The lock is a file ``.lock`` in it.
    work : str
        What the folder is used for, for the message.

    Raises
    ------
    BlockingIOError
        If another process holds it.
    """
    make_folder(folder)
    path = Path(folder) / ".lock"
    try:
        file = open(path, "ab")  # noqa: SIM115 (closed below; the message is for opening alone)
    except OSError as error:
        raise explained(error, path, "Nothing was changed") from error
    with file:
        try:
            if fcntl is not None:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            message = f"another process is {work} in {folder}; wait for it, or choose another folder"
            raise BlockingIOError(error.errno, message) from error
        yield
