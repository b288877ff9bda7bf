"""The examples run from end to end on tiny data in the formats that they name, and find what they have done."""

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import published_files as files
import pytest
import torch

from locenc_csp.image_branch import image_hash
from locenc_csp.recipes import Evaluate

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def places(name: str, count: int) -> np.ndarray:
    """Longitudes and latitudes, half of them on land."""
    draw = files.rng(name)
    sea = np.stack([draw.uniform(-180, 180, count), draw.uniform(-70, 80, count)], 1)
    land = np.array([15.0, 23.0]) + draw.uniform(-8, 8, (count, 2))
    return np.where((np.arange(count) % 2 == 0)[:, None], land, sea)


def write_s2_100k(folder: Path, count: int = 60) -> None:
    """index.csv with the columns of S2-100K, and features."""
    lines = ["lat,lon,url,fn"]
    for row, (lon, lat) in enumerate(places("s2", count)):
        lines.append(f"{lat!r},{lon!r},https://example.org/satclip/patch_{row}.tif,patch_{row}.tif")
    folder.mkdir()
    (folder / "index.csv").write_text("\n".join(lines).replace("np.float64(", "").replace(")", "") + "\n")
    np.save(folder / "features.npy", files.features_of("s2", count))


def write_mp16(folder: Path, count: int = 90) -> None:
    """Tables with GeoEstimation's columns, features, and GeoCLIP's gallery."""
    folder.mkdir()
    head = "IMG_ID,AUTHOR,LAT,LON,S3_Label,S16_Label,S365_Label,Prob_indoor,Prob_natural,Prob_urban"
    for name, rows in (("mp16", count), ("im2gps3k", 12)):
        lines = [head]
        for row, (lon, lat) in enumerate(places(name, rows)):
            image = f"{name[:2]}/{row:02d}/10{row}_7410c654ba_19_19355699@N00.jpg"
            lines.append(f"{image},19355699@N00,{lat:.6f},{lon:.6f},{row % 3},8,150,0.00295928,0.77781478,0.21922583")
        (folder / f"{name}_places365.csv").write_text("\n".join(lines) + "\n")
        np.save(folder / f"{name}_features.npy", files.features_of(name, rows))
    gallery = [f"{lat:.6f},{lon:.6f}" for lon, lat in places("gallery", 50)]
    (folder / "coordinates_100K.csv").write_text("\n".join(["LAT,LON", *gallery]) + "\n")


@pytest.mark.parametrize(
    ("name", "write", "options"),
    [
        ("csp_inat2018", files.write_inat2018, []),
        ("csp_inat2018", files.write_inat2018, ["--balanced"]),
        ("csp_fmow", files.write_fmow, []),
        ("csp_fmow", files.write_fmow, ["--script"]),
        ("satclip_like", write_s2_100k, ["--degrees", "4"]),
        ("geoclip_like", write_mp16, []),
    ],
)
def test_it_runs_and_what_is_done_is_not_done_again(
    name: str,
    write: Callable[[Path], object],
    options: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(tmp_path / "data")
    arguments = [
        "--data",
        str(tmp_path / "data"),
        "--out",
        str(tmp_path / "out"),
        "--device",
        "cpu",
        "--tiny",
        *options,
    ]
    result = example(name).main(arguments)
    printed = capsys.readouterr().out
    assert " %" in printed
    made = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("head.safetensors")}
    assert made
    assert example(name).main(arguments) == result
    assert capsys.readouterr().out == printed
    assert made == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("head.safetensors")}


def test_published_settings_are_those_of_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The few-shot probabilities are taken where they are, and every setting reaches the run's files."""
    files.write_inat2018(tmp_path / "data")
    out = tmp_path / "out"
    example("csp_inat2018").main(["--data", str(tmp_path / "data"), "--out", str(out), "--device", "cpu", "--tiny"])
    assert "published: image alone 5.28" in capsys.readouterr().out
    report = json.loads((out / "tuned" / "scores.json").read_text())
    few = out / "data" / "probabilities" / "fewshot-ratio0.050"
    assert report["images"] == image_hash(Evaluate(out, out, image_probabilities=few))
    run = json.loads((out / "pretrained" / "recipe.json").read_text())
    assert (run["objective"], run["negatives"], run["csp_compat"]) == ("csp-inat2018", "official-ellipse", True)
    assert run["max_per_class"] is None
    assert (run["schedule"]["lr"], run["schedule"]["lr_decay"], run["schedule"]["weight_decay"]) == (5e-4, 1.0, 0.0)
    tuned = json.loads((out / "tuned" / "result.json").read_text())["recipe"]
    assert (tuned["head"], tuned["lr_decay"], tuned["label_ratio"]) == ("presence-csp", 0.98, 0.05)
    config = json.loads((out / "tuned" / "encoder" / "config.json").read_text())
    assert "leakyrelu" in json.dumps(config)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_the_page_of_the_examples_names_each_with_its_command(path: Path) -> None:
    module = example(path.stem)
    command = next(line.strip() for line in (module.__doc__ or "").splitlines() if "python examples/" in line)
    assert command.startswith(f"python examples/{path.name} --data ")
    assert command in (EXAMPLES / "README.md").read_text(encoding="utf-8")
