"""Peers: other packages that are timed where they are installed. Nothing is installed here."""

import sys
from collections.abc import Mapping
from importlib import import_module, metadata
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple


class Peer(NamedTuple):
    """What became of a package that was asked for."""

    name: str
    install: str
    version: str
    missing: str  # why it cannot be used, or nothing
    note: str = ""

    def __str__(self) -> str:
        if self.missing:
            return f"{self.name} is not timed: {self.missing}; `{self.install}`"
        return f"{self.name} {self.version}" + (f" ({self.note})" if self.note else "")


#: Those that this process asked for, by name; reports list them.
asked: dict[str, Peer] = {}


def peer(module: str, *, install: str) -> ModuleType | None:
    """Import a peer's module, or return None; the report says which.

    Parameters
    ----------
    module : str
        As in an import statement: ``"sphericart.torch"``.
    install : str
        The command that installs it; its last word is the distribution's name.
    """
    try:
        found = import_module(module)
    except Exception as error:  # a package may fail to import in any way
        _note(module, install, missing=_why(error, install))
        return None
    _note(module, install)
    return found


def peer_file(file: str, *, install: str, stand_ins: Mapping[str, Mapping[str, Any]] = {}) -> ModuleType | None:
    """Load one file of an installed peer, whose package does not import here, without running the package.

    Parameters
    ----------
    file : str
        Its path in the distribution: ``"torchspatial/SpatialRelationEncoder.py"``. It finds its neighbours, by relative
        imports and by absolute ones.
    install : str
        As for `peer`.
    stand_ins : mapping
        Modules that the file imports and does not need, and names in them. Where one is not installed an otherwise
        empty module stands in for it, and the report says so.
    """
    name = file.removesuffix(".py").replace("/", ".")
    try:
        path = Path(str(metadata.distribution(_distribution(install)).locate_file(file)))
        found, absent = _load(name, path, stand_ins)
    except Exception as error:
        _note(name, install, missing=_why(error, install))
        return None
    notes = ["this file alone, since its package does not import here"]
    notes += [f"an empty stand-in for {module}, which it imports and which is not installed" for module in absent]
    _note(name, install, note="; ".join(notes))
    return found


def _load(name: str, path: Path, stand_ins: Mapping[str, Mapping[str, Any]]) -> tuple[ModuleType, list[str]]:
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no {path}")
    module = module_from_spec(spec)
    before, search = dict(sys.modules), list(sys.path)
    sys.path.insert(0, str(path.parent))
    try:
        absent = [other for other in stand_ins if find_spec(other) is None]
        for other in absent:
            sys.modules[other] = ModuleType(other)
            vars(sys.modules[other]).update(stand_ins[other])
        for folder, parent in zip(path.parents, _parents(name), strict=False):
            sys.modules[parent] = ModuleType(parent)
            sys.modules[parent].__path__ = [str(folder)]
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = search
        for other in sys.modules.keys() - before.keys():  # neighbours have names such as "module" and "paths"
            if other in stand_ins or other in _parents(name) or _lies_below(sys.modules[other], path.parent):
                del sys.modules[other]
        sys.modules.update(before)
    return module, absent


def _parents(name: str) -> list[str]:
    """Packages of a module, the innermost first."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(len(parts) - 1, 0, -1)]


def _lies_below(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and folder in Path(file).parents


def _note(name: str, install: str, *, missing: str = "", note: str = "") -> None:
    try:
        version = metadata.version(_distribution(install))
    except metadata.PackageNotFoundError:
        version = ""
    asked[name] = Peer(name, install, version, missing, note)


def _distribution(install: str) -> str:
    return install.split()[-1]


def _why(error: Exception, install: str) -> str:
    try:
        metadata.version(_distribution(install))
    except metadata.PackageNotFoundError:
        return "it is not installed"
    return f"{type(error).__name__}: {error}".splitlines()[0]
