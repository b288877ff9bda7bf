"""How our kernels are compiled: without the interpreter's lock, strictly, and kept for the next process."""

import hashlib
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache


def kernel(function: Callable[..., Any]) -> Any:
    """Compile a function at its first call for each combination of argument types.

    Arithmetic is strict (no ``fastmath``): reductions to remainders depend on it. The code is kept beside the source,
    or in numba's cache folder, if one of them can be written; otherwise each process compiles for itself.
    """
    dispatcher = njit(nogil=True, error_model="numpy")(function)
    try:
        dispatcher._cache = _KernelCache(function)
    except (RuntimeError, OSError):  # no folder can be written
        return dispatcher
    return dispatcher


class _KernelCache(FunctionCache):
    """numba's cache; a full disk or a spoilt file costs a compilation, and edits of any kernel's source are noticed."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return (*super()._index_key(sig, codegen), sources())

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # what a spoilt pickle raises is anybody's guess
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)


def kept_in() -> str | None:
    """Folder where compiled code is kept, or None where none can be written."""
    try:
        return str(_KernelCache(sources.__wrapped__).cache_path)
    except (RuntimeError, OSError):
        return None


@cache
def sources() -> str:
    """Digest of the sources of all kernels: they inline one another, and numba looks at the caller's file alone."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()
