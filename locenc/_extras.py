"""Optional packages: imported where they are used, and named with their install command when absent."""

import importlib
from types import ModuleType


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional module, or say how to get it.

    Parameters
    ----------
    module : str
        Full module name, such as ``"matplotlib.pyplot"``.
    extra : str
        The extra of locenc that installs it.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        If the package is not installed; the message holds the install command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise ImportError(f'{package} is needed for this: pip install "locenc[{extra}]"') from error
