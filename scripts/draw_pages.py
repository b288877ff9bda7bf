"""Run pages of the documentation as they stand, and keep pictures that they save in docs/images.

From the repository's root, with the extras geo and sklearn: ``python -m scripts.draw_pages``.
"""

import os
import re
import shutil
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
PICTURES = {  # page: what it saves, and its name in docs/images
    "quickstart.md": ("cover.png", "quickstart.png"),
    "howto/ecologist.md": ("presence.png", "howto-ecologist.png"),
    "howto/teacher.md": ("seams.png", "howto-teacher.png"),
}


def main() -> None:
    for page, (saved, kept) in PICTURES.items():
        blocks = re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            exec("\n".join(blocks), {})
            shutil.copy(saved, DOCS / "images" / kept)


if __name__ == "__main__":
    main()
