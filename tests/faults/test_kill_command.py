"""``python -m scripts.faults``: what it would notice, and one job that it kills."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

sys.path.append(str(Path(__file__).resolve().parents[2]))  # scripts are not installed

from scripts.faults import __main__ as command
from scripts.faults.files import broken, contents, differences, left_over
from scripts.faults.kills import Kill, Trial
from scripts.faults.tables import report


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One file of each kind, and a temporary one."""
    made = tmp_path / "made"
    (made / ".numbers.json.x.tmp").mkdir(parents=True)
    (made / ".numbers.json.x.tmp" / "numbers.json").write_text("{")
    (made / "numbers.json").write_text(json.dumps({"top1": 0.5, "seconds": 3.0}))
    (made / "metrics.jsonl").write_text('{"step": 1, "samples_per_second": 4}\n')
    (made / "page.md").write_text("# Page\n")
    np.save(made / "array.npy", np.arange(9))
    pyarrow.parquet.write_table(pyarrow.table({"number": range(9)}), made / "table.parquet")
    Image.new("RGB", (9, 9)).save(made / "picture.png")
    torch.save({"step": 1, "model": {"weight": torch.ones(3)}}, made / "checkpoint.pt")
    save_file({"weight": torch.ones(3)}, made / "model.safetensors")
    return made


def test_files_that_are_cut_short_are_noticed(folder: Path) -> None:
    assert broken(folder) == []
    assert left_over(folder) == {".numbers.json.x.tmp/numbers.json": 1}
    for name in contents(folder):
        other = folder.with_name("cut")
        shutil.copytree(folder, other)
        data = (other / name).read_bytes()
        (other / name).write_bytes(data[: -max(1, len(data) // 3)])
        assert [text.split(":")[0] for text in broken(other)] == [name]
        shutil.rmtree(other)


def test_any_other_number_is_noticed_and_times_are_not(folder: Path) -> None:
    whole = contents(folder)
    (folder / "numbers.json").write_text(json.dumps({"top1": 0.5, "seconds": 4.0}))
    (folder / "metrics.jsonl").write_text('{"step": 1, "samples_per_second": 5}\n')
    assert differences(whole, contents(folder)) == []
    (folder / "numbers.json").write_text(json.dumps({"top1": 0.6, "seconds": 4.0}))
    torch.save({"step": 1, "model": {"weight": torch.tensor([1.0, 1.0, 1 + 1e-7])}}, folder / "checkpoint.pt")
    np.save(folder / "more.npy", 0)
    (folder / "page.md").unlink()
    assert differences(whole, contents(folder)) == ["checkpoint.pt", "more.npy", "numbers.json", "page.md"]


def test_the_report_says_what_went_wrong() -> None:
    kill = Kill(0.5, "first half", [], {"x.tmp": 3})
    good = Trial("once", [kill], "", [], {}, 1.0)
    chain = Trial("chain", [kill, kill], "", [], {}, 1.0)
    assert all(target.met for target in report({"pretrain": (1.0, [good, chain])}, 0).targets)
    torn = good._replace(kills=[kill._replace(broken=["a.json"])])
    for bad in (
        good._replace(failure="exit status 1"),
        good._replace(differs=["a"]),
        good._replace(left={"a": 1}),
        torn,
    ):
        made = report({"pretrain": (1.0, [good, bad])}, 0)
        assert sum(not target.met for target in made.targets) == 1
    text = report({"pretrain": (1.0, [good, chain])}, 0).markdown()
    assert "| 3 | 1 | 1, of up to 2 kills | 2 of 2 | 1 |" in text
    assert "| pretrain | first half | 3 |" in text


def test_a_job_that_is_killed(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--kills", "1", "--jobs", "embed_parquet"]) == 0
    assert "| embed_parquet | `locenc.embed_parquet`, 123 chunks" in capsys.readouterr().out
