"""Image networks by name: any `torch.nn.Module` of the user's, or those of torchvision and timm.

Neither package is needed by ours, nor imported before a name asks for it.
"""

import contextlib
import importlib
import importlib.util
from collections.abc import Collection, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import nn

from locenc._names import unknown
from locenc.compat._files import read_pickle, read_safetensors, room
from locenc_csp.image_networks import IMAGENET_MEAN, IMAGENET_STD

__all__ = ["Network", "load_network"]

PRETRAINED, RANDOM = "pretrained", "random"


class Network(NamedTuple):
    """An image network and how its images should be prepared, where that is known.

    Attributes
    ----------
    module : nn.Module
        Maps images (B, 3, H, W), standardised, to features.
    size : int, optional
        Pixels per side.
    mean, std : tuple of float
        Of each channel, in [0, 1].
    """

    module: nn.Module
    size: int | None = None
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD


def load_network(spec: str, *, weights: str | None = None, seed: int = 0) -> Network:
    """Build the network that a text names, with its weights.

    Parameters
    ----------
    spec : str
        ``torchvision:resnet50`` or ``timm:efficientnet_lite0``: a network of those packages without its last, linear
        layer. ``package.module:attribute`` or ``path/to/file.py:attribute``: an `nn.Module`, or a function without
        arguments that makes one.
    weights : str, optional
        File with a state dict (``.safetensors``, or what `torch.save` writes), with or without the last layer that is
        taken off. For torchvision and timm it must be said: a file, ``pretrained`` (the package's own weights, which
        it downloads unless it has them), or ``random``.
    seed : int
        Of weights that the network draws; torch's global generator is left as it was.

    Returns
    -------
    Network
        The module, and how its images should be prepared.

    Raises
    ------
    ImportError
        If a package or module is missing or does not import; the message holds the install command.
    FileNotFoundError
        If a file is missing.
    TypeError
        If the attribute is no network.
    ValueError
        For a name that is unknown, or weights that do not fit.
    """
    home, colon, name = spec.rpartition(":")
    if not colon or not home or not name:
        raise ValueError(
            f"cannot tell what network {spec!r} is: expected random-conv, torchvision:NAME, timm:NAME, "
            "package.module:attribute or path/to/file.py:attribute"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if home in _PACKAGES:
            if weights is None:
                raise ValueError(
                    f"weights of {spec} must be said: a file with a state dict, {PRETRAINED} ({home}'s own, which it "
                    f"downloads unless it has them), or {RANDOM}"
                )
            return _PACKAGES[home](name, weights)
        module = _attribute(home, name)
    if weights in (PRETRAINED, RANDOM):
        raise ValueError(f"weights {weights!r} are for torchvision and timm; {spec} brings its own, or name a file")
    if weights is not None:
        _load_weights(module, Path(weights))
    return Network(module)


def _torchvision(name: str, weights: str) -> Network:
    models = _require("torchvision.models", name)
    classifiers = models.list_models(module=models)  # those of detection and the like fetch weights when they are made
    if name not in classifiers:
        raise ValueError(unknown("image classifier of torchvision", name, classifiers, hint=_LISTS["torchvision"]))
    published = getattr(models.get_model_weights(name), "DEFAULT", None)
    with _fetching(f"torchvision:{name}"):
        module = models.get_model(name, weights=published if weights == PRETRAINED else None)
    names = set(module.state_dict())
    _drop_last_linear(module, name)
    if weights not in (PRETRAINED, RANDOM):
        _load_weights(module, Path(weights), dropped=names - set(module.state_dict()))
    if published is None:
        return Network(module)
    prepare = published.transforms()
    return Network(module, int(prepare.crop_size[0]), tuple(prepare.mean), tuple(prepare.std))


def _timm(name: str, weights: str) -> Network:
    timm = _require("timm", name)
    if not timm.is_model(name.partition(".")[0]):
        raise ValueError(unknown("network of timm", name, timm.list_models(), hint=_LISTS["timm"]))
    with _fetching(f"timm:{name}"):
        module = timm.create_model(name, pretrained=weights == PRETRAINED)
    names = set(module.state_dict())
    module.reset_classifier(0)
    if weights not in (PRETRAINED, RANDOM):
        _load_weights(module, Path(weights), dropped=names - set(module.state_dict()))
    config = importlib.import_module("timm.data").resolve_model_data_config(module)
    return Network(module, int(config["input_size"][-1]), tuple(config["mean"]), tuple(config["std"]))


_PACKAGES = {"torchvision": _torchvision, "timm": _timm}
_LISTS = {
    "torchvision": "torchvision.models.list_models(torchvision.models) lists them",
    "timm": "timm.list_models() lists them",
}


@contextlib.contextmanager
def _fetching(spec: str) -> Iterator[None]:
    """Say what to do where a package cannot fetch its weights."""
    try:
        yield
    except (OSError, RuntimeError, ValueError) as error:
        raise ValueError(
            f"{spec} could not be made with its own weights: {error}. Without a network, give a file with --weights"
        ) from error


def _require(module: str, name: str) -> ModuleType:
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except (ImportError, RuntimeError, OSError) as error:  # a build for another torch fails in all of these ways
        raise ImportError(
            f"{package}:{name} needs {package}, which does not import here ({error}): pip install {package}, the build "
            f"for torch {torch.__version__} (https://pytorch.org/get-started)"
        ) from error


def _attribute(home: str, name: str) -> nn.Module:
    """Network that a module or file holds or makes under a name."""
    found: Any = _from_file(Path(home)) if home.endswith(".py") else _from_package(home)
    for part in name.split("."):
        if not hasattr(found, part):
            public = [one for one in dir(found) if not one.startswith("_")]
            raise ValueError(unknown(f"attribute of {home}:", part, public))
        found = getattr(found, part)
    made = found if isinstance(found, nn.Module) or not callable(found) else found()
    if not isinstance(made, nn.Module):
        raise TypeError(f"{home}:{name} must be a torch.nn.Module, or make one, got {type(made).__name__}")
    return made


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected Python code that holds or makes an image network")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None  # noqa: PT018 (it ends in .py)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _from_package(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise ImportError(
            f"no module {error.name!r} to take a network from: install it, or name a file, path/to/file.py:attribute"
        ) from error


def _load_weights(module: nn.Module, path: Path, *, dropped: Collection[str] = ()) -> None:
    """Load a state dict; names that were dropped from the module may be there or not."""
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}: expected a file with a state dict")
    try:
        state: Any = (
            read_safetensors(path) if path.suffix == ".safetensors" else read_pickle(path, max_bytes=room(path))
        )
    except ValueError as error:
        raise ValueError(f"{path} holds no state dict, or is damaged: {error}") from error
    state = state.get("state_dict", state) if isinstance(state, dict) else state
    try:
        module.load_state_dict({name: value for name, value in state.items() if name not in dropped})
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(f"the weights in {path} do not fit the network: {error}") from error


def _drop_last_linear(module: nn.Module, name: str) -> None:
    linear = [path for path, one in module.named_modules() if isinstance(one, nn.Linear)]
    if not linear:
        raise ValueError(f"torchvision:{name} has no linear layer to take off: it is no classifier of images")
    owner, _, last = linear[-1].rpartition(".")
    setattr(module.get_submodule(owner), last, nn.Identity())
