"""A call of a public function with generated arguments, and what came of it."""

import dis
import random
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
import pandas
import torch
from torch import nn

import locenc
import locenc_csp

#: What a public function may raise; `OSError` where it reads or writes files.
PLANNED = (ValueError, TypeError, ImportError, OSError)
UNABLE = "cannot run here"  # what `locenc.backend` says in a RuntimeError
LONGEST = 4000  # letters of a message
#: Who may raise: this library, and scikit-learn's checks of what its estimators are given.
RAISING = ("sklearn/utils/validation.py", "sklearn/base.py")
PACKAGES = tuple(str(Path(package.__path__[0]).resolve()) for package in (locenc, locenc_csp))


@dataclass(frozen=True)
class Call:
    """A function, its arguments, and what its result must be.

    Attributes
    ----------
    function : callable
        Public.
    arguments, options
        By position and by name.
    check : callable
        From the result to what is wrong with it, or None.
    filled : tuple
        Arguments that the function is asked to change.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    check: Callable[[Any], str | None] = lambda _: None
    filled: tuple[Any, ...] = ()

    def __str__(self) -> str:
        parts = [*map(_shown, self.arguments), *(f"{name}={_shown(value)}" for name, value in self.options.items())]
        return f"{getattr(self.function, '__qualname__', _shown(self.function))}({', '.join(parts)})"


class Outcome(NamedTuple):
    """What came of a call: the type of the error or "a result", and the fault, if it is one."""

    kind: str
    fault: str | None


Door = Callable[[random.Random, Path], Call]


def outcome(call: Call) -> Outcome:
    """Make a call, and judge what came of it."""
    given = [value for value in (*call.arguments, *call.options.values()) if not any(value is f for f in call.filled)]
    before = [_print(value) for value in given]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            result = call.function(*call.arguments, **call.options)
        except Exception as error:  # what is to be judged
            return Outcome(type(error).__name__, _fault(error) or _changed(given, before))
        try:
            wrong = call.check(result)
        except Exception as error:  # what came back cannot be used
            wrong = f"the result cannot be used: {type(error).__name__}: {error}"
        return Outcome("a result", wrong or _changed(given, before))


def _fault(error: Exception) -> str | None:
    """What is wrong with an error; None where it is planned: its type, its text, and who raised it."""
    text = str(error)
    if not isinstance(error, PLANNED) and not (isinstance(error, RuntimeError) and UNABLE in text):
        return f"{type(error).__name__} is no planned error: {text}"
    if not text.strip() or len(text) > LONGEST:
        return f"{type(error).__name__} with a text of {len(text)} letters: {text[:200]}"
    if not _raised_here(error.__traceback__):
        return f"{type(error).__name__} from inside another library: {text}"
    return None


def _raised_here(traceback: TracebackType | None) -> bool:
    """Whether a statement ``raise`` of this library made an error, or its call did not fit the signature."""
    assert traceback is not None
    if traceback.tb_next is None:
        return True
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    code = traceback.tb_frame.f_code
    if code.co_filename.endswith(RAISING):
        return True
    return code.co_filename.startswith(PACKAGES) and code.co_code[traceback.tb_lasti] == dis.opmap["RAISE_VARARGS"]


def _changed(given: list[Any], before: list[Any]) -> str | None:
    changed = [value for value, old in zip(given, before, strict=True) if _print(value) != old]
    return f"an argument was changed: {_shown(changed[0])}" if changed else None


def _print(value: Any) -> Any:
    """What tells whether a value was changed."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.strides, value.tobytes() if value.dtype != object else repr(value))
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), tuple(value.shape), value.stride(), value.requires_grad, repr(value.detach()))
    if isinstance(value, nn.Module):
        state = {name: tensor.detach().clone() for name, tensor in value.state_dict().items()}
        return (repr({name: _print(tensor) for name, tensor in state.items()}), [m.training for m in value.modules()])
    if isinstance(value, (pandas.DataFrame, pandas.Series)):
        parts = [value.iloc[:, i] for i in range(value.shape[1])] if value.ndim == 2 else [value]
        return (
            repr([part.tolist() for part in parts]),
            repr(list(value.index)),
            str(value.dtypes),
            repr(value.name) if value.ndim == 1 else repr(list(value.columns)),
        )
    if isinstance(value, (list, tuple, dict, str, bytes, int, float, set)) or hasattr(value, "to_numpy"):
        return repr(value)
    return id(value)


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= 300 else f"{text[:297]}..."


def finite(result: Any) -> bool:
    """Whether all numbers in a result are finite."""
    if isinstance(result, torch.Tensor):
        return result.is_meta or not result.is_floating_point() or bool(result.detach().isfinite().all())
    if isinstance(result, (float, np.floating)):
        return bool(np.isfinite(result))
    if isinstance(result, np.ndarray):
        return result.dtype.kind not in "fc" or bool(np.isfinite(result).all())
    if isinstance(result, Mapping):
        return all(map(finite, result.values()))
    return all(map(finite, result)) if isinstance(result, (tuple, list)) else True
