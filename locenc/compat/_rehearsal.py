"""A file of ``torch.save`` read with stand-ins first: what it would make is known before anything is made.

PyTorch's own safe reading runs no code, but it makes a gigabyte of zeros where a few bytes ask for one, and some of its
versions believe the sizes that a file states. Here nothing larger than the file is made: names become stand-ins, and
the tensors' sizes are compared with the bytes that are there.
"""

import io
import math
import pickle
import zipfile
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch

#: Bytes of a number in a storage, by its type's name.
_WIDTHS = {
    **dict.fromkeys(("Bool", "Byte", "Char", "QInt8", "QUInt8"), 1),
    **dict.fromkeys(("Half", "BFloat16", "Short"), 2),
    **dict.fromkeys(("Float", "Int", "QInt32"), 4),
    **dict.fromkeys(("Double", "Long", "ComplexFloat"), 8),
    "ComplexDouble": 16,
}
_BUILTINS = "__builtin__"  # of Python 2, which pickles of protocol 2 still say
#: What pickles of weights and plain values consist of; the last opcodes of the language make things by their size.
_OPCODES = (
    *("PROTO", "STOP", "MARK", "GLOBAL", "REDUCE", "BUILD", "NEWOBJ", "BINPERSID"),
    *("NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"),
    *("BINUNICODE", "SHORT_BINSTRING", "EMPTY_TUPLE", "EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET"),
    *("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "APPEND", "APPENDS", "SETITEM", "SETITEMS"),
    *("BINGET", "LONG_BINGET", "BINPUT", "LONG_BINPUT"),
)
#: Values in nested containers, one that stands in two places counted twice, and how deep they are nested.
MOST_VALUES, DEEPEST = 2**20, 100


class ForeignError(Exception):
    """The file names what is neither a weight nor a plain value: its arguments are these names."""


def rehearse(path: Path, extra: Collection[str]) -> int:
    """Read a file with stand-ins.

    Parameters
    ----------
    path : Path
        An archive of ``torch.save``.
    extra : collection of str
        Full names that it may hold besides those of weights.

    Returns
    -------
    int
        Bytes of all its tensors, were each stored by itself.

    Raises
    ------
    ForeignError
        If it names something else.
    pickle.UnpicklingError
        If sizes in it do not fit the bytes that are there, values are nested too deep or are too many; or
        whatever damage leads to.
    """
    with zipfile.ZipFile(path) as archive:
        sizes = _records(archive)
        (pickled,) = (name for name in archive.namelist() if name.partition("/")[2] == "data.pkl")
        reader = _Reader(io.BytesIO(archive.read(pickled)), sizes, extra)
    content = reader.load()
    if reader.foreign:
        raise ForeignError(*sorted(reader.foreign))
    return _size(content)


def _records(archive: zipfile.ZipFile) -> dict[str, int]:
    """Sizes of the files in an archive by their names behind its one folder, which no two share in any spelling."""
    names = [entry.filename.partition("/") for entry in archive.infolist()]
    if len({folder for folder, _, _ in names}) != 1 or len({name.lower() for _, _, name in names}) != len(names):
        raise pickle.UnpicklingError("two files of one name, or more than one folder in the archive")
    return {entry.filename.partition("/")[2]: entry.file_size for entry in archive.infolist()}


class _StandIn:
    """Whatever a file makes of a name: holds nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "_StandIn":
        return super().__new__(cls)

    def __setstate__(self, _: Any) -> None:
        """Whatever is put into it is let go."""


class _Storage(_StandIn):
    """Numbers of tensors; ``width`` is the bytes of one, ``count`` how many there are."""

    width = 1
    count = 0

    def __new__(cls, *size: Any) -> "_Storage":
        """Without a size: numbers come from the file alone."""
        if size:
            raise pickle.UnpicklingError("a storage that is made by its size")
        return object.__new__(cls)


class _Tensor(_StandIn):
    """A tensor of so many bytes."""

    nbytes = 0


class _Reader(pickle._Unpickler):
    """Python's own unpickler, for a few opcodes, with stand-ins for all that has a name."""

    dispatch: ClassVar[dict[int, Any]] = {
        code: function
        for code, function in pickle._Unpickler.dispatch.items()
        if code in {getattr(pickle, name)[0] for name in _OPCODES}
    }

    stack: list[Any]  # of the class above, which its types leave out
    pop_mark: Callable[[], list[Any]]

    def __init__(self, file: io.BytesIO, sizes: Mapping[str, int], extra: Collection[str]) -> None:
        super().__init__(file)
        self.sizes, self.foreign = sizes, set[str]()
        self._known = _KNOWN | dict.fromkeys(extra, _StandIn)

    def load_setitem(self) -> None:
        """Put a value into a dictionary."""
        _check_keys(self.stack[-2:-1])
        self.stack[-3][self.stack[-2]] = self.stack[-1]
        del self.stack[-2:]

    def load_setitems(self) -> None:
        """Put values into a dictionary."""
        items = self.pop_mark()
        _check_keys(items[::2])
        self.stack[-1].update(zip(items[::2], items[1::2], strict=True))

    dispatch[pickle.SETITEM[0]] = load_setitem
    dispatch[pickle.SETITEMS[0]] = load_setitems

    def find_class(self, module: str, name: str, /) -> Any:
        full = f"{'builtins' if module == _BUILTINS else module}.{name}"
        if full not in self._known:
            self.foreign.add(full)
        return self._known.get(full, _StandIn)

    def persistent_load(self, pid: Any) -> _Storage:
        kind, storage, key, _, count = pid
        found = storage()
        held = self.sizes[f"data/{key}"]
        if kind != "storage" or not isinstance(found, _Storage) or not 0 <= count * found.width <= held:
            raise pickle.UnpicklingError(f"data/{key} should hold {count} numbers, but has {held} bytes")
        found.count = count
        return found


def _tensor(storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> _Tensor:
    """A tensor, once its numbers are all in its storage."""
    return _checked(storage, storage.width, offset, size, stride)


def _typed_tensor(
    storage: _Storage, offset: int, size: tuple[int, ...], stride: tuple[int, ...], _: Any, __: Any, dtype: torch.dtype
) -> _Tensor:
    """A tensor of a younger type, in a storage that counts bytes."""
    return _checked(storage, dtype.itemsize, offset, size, stride)


def _checked(storage: _Storage, width: int, offset: int, size: tuple[int, ...], stride: tuple[int, ...]) -> _Tensor:
    count, there = math.prod(size), storage.count * storage.width // width
    last = offset + sum((one - 1) * step for one, step in zip(size, stride, strict=True))
    if min((offset, *size, *stride)) < 0 or (count and last >= there):
        raise pickle.UnpicklingError(f"a tensor of size {size}, but {there} numbers are there")
    made = _Tensor()
    made.nbytes = count * width
    return made


def _first(made: Any, *_: Any) -> Any:
    return made


def _of_type(make: Callable[..., Any], _: Any, arguments: tuple[Any, ...], __: Any) -> Any:
    return make(*arguments)


def _ordered(*arguments: Any) -> OrderedDict[Any, Any]:
    if arguments:
        raise pickle.UnpicklingError("a dictionary that is made of something")
    return OrderedDict()


def _set(values: Any) -> set[Any]:
    _check_keys(values)
    return set(values)


def _check_keys(keys: Any) -> None:
    """Refuse tuples: the hash of one that holds another twice, which holds another twice, may take forever."""
    if any(isinstance(key, tuple) for key in keys):
        raise pickle.UnpicklingError("a key that is a tuple")


def _encode(text: str, codec: str = "latin1") -> bytes:
    if codec not in ("latin1", "latin-1", "ascii", "utf-8"):
        raise pickle.UnpicklingError(f"text in {codec!r}")
    return text.encode(codec)


_KNOWN: dict[str, Any] = {
    "collections.OrderedDict": _ordered,
    "collections.Counter": Counter,
    "builtins.set": _set,
    "builtins.complex": complex,
    "_codecs.encode": _encode,
    "torch.Size": tuple,
    "torch.device": _StandIn,
    "torch.serialization._get_layout": _StandIn,
    "torch._tensor._rebuild_from_type_v2": _of_type,
    **{f"torch._utils._rebuild_{name}": _first for name in ("parameter", "parameter_with_state")},
    **{f"torch._utils._rebuild_{name}": _tensor for name in ("tensor", "tensor_v2", "qtensor")},
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
    **{f"torch._utils._rebuild_{name}": _StandIn for name in ("sparse_tensor", "meta_tensor_no_storage")},
    **{f"torch.{name}Storage": type(name, (_Storage,), {"width": width}) for name, width in _WIDTHS.items()},
    "torch.storage.UntypedStorage": _Storage,
    **{f"torch.{name}": kind for name, kind in vars(torch).items() if isinstance(kind, torch.dtype)},
    **{f"torch.{name}": _StandIn for name, kind in vars(torch).items() if isinstance(kind, torch.qscheme)},
}


def _size(content: Any) -> int:
    """Bytes of the tensors in nested containers."""
    total, count, left = 0, 0, [(content, 0)]
    while left:
        value, depth = left.pop()
        count += 1
        if count > MOST_VALUES or depth > DEEPEST:
            raise pickle.UnpicklingError(f"more than {MOST_VALUES:,} values, or nested more than {DEEPEST} deep")
        if isinstance(value, _Tensor):
            total += value.nbytes
        elif isinstance(value, (Mapping, list, tuple, set)):
            left += [(one, depth + 1) for one in (value.values() if isinstance(value, Mapping) else value)]
    return total
