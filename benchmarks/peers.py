"""Peers: other packages that are timed where they are installed. Nothing is installed here."""

import sys
from importlib import import_module, metadata
from importlib.util import module_from_spec, spec_from_file_location
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


def peer_file(
    file: str, *, install: str, stand_ins: dict[str, dict[str, Any]] | None = None, note: str = ""
) -> ModuleType | None:
    """Load one file of an installed peer, whose package does not import, without importing the package.

    Parameters
    ----------
    file : str
        Its path in the distribution: ``"torchspatial/SpatialRelationEncoder.py"``. While it loads, its folder stands
        first in the search path, so that it finds its neighbours.
    install : str
        As for `peer`.
    stand_ins : dict, optional
        Modules that the file imports and the distribution lacks: names, and what stands in each. The report says so.
    note : str
        For the report.
    """
    name = file.removesuffix(".py").replace("/", ".")
    try:
        distribution = metadata.distribution(_distribution(install))
        path = Path(str(distribution.locate_file(file)))
        found = _load(name, path, stand_ins or {})
    except Exception as error:
        _note(name, install, missing=_why(error, install))
        return None
    notes = [note or "loaded by file, since the package does not import"]
    notes += [f"it imports {missing}, which the distribution lacks: an empty stand-in" for missing in stand_ins or {}]
    _note(name, install, note="; ".join(notes))
    return found


def _load(name: str, path: Path, stand_ins: dict[str, dict[str, Any]]) -> ModuleType:
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None or not path.is_file():
        raise FileNotFoundError(f"there is no {path}")
    module = module_from_spec(spec)
    before, search = dict(sys.modules), list(sys.path)
    sys.path.insert(0, str(path.parent))
    for missing, names in stand_ins.items():
        sys.modules[missing] = ModuleType(missing)
        vars(sys.modules[missing]).update(names)
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = search
        for added in sys.modules.keys() - before.keys():  # neighbours have names such as "module" and "paths"
            if added in stand_ins or _lies_in(sys.modules[added], path.parent):
                del sys.modules[added]
    return module


def _lies_in(module: ModuleType, folder: Path) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and Path(file).parent == folder


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
