"""Run docs/quickstart.md as it stands, and keep the map that it saves as docs/images/quickstart.png.

From the repository's root, with the extra geo: ``python -m scripts.draw_quickstart``.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"


def main() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (DOCS / "quickstart.md").read_text(encoding="utf-8"), flags=re.DOTALL)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        exec("\n".join(blocks), {})
        shutil.copy("cover.png", DOCS / "images" / "quickstart.png")


if __name__ == "__main__":
    main()
