"""An image network that is trained beside the location encoder: it learns, in chunks or not, stops and goes on."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from locenc_csp.criterion import Criterion
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import read_table, write_table
from locenc_csp.extracting import build_features
from locenc_csp.features import open_features
from locenc_csp.joint_images import ImageBranch
from locenc_csp.named_networks import load_network
from locenc_csp.pretraining import load_dual_encoder, pretrain
from locenc_csp.recipes import Encoder, Features, Pretrain, Schedule

ENCODER = Encoder(dim=16, network="residual", network_options={"depth": 1, "dropout": 0.2})
SCHEDULE = Schedule(steps=12, batch_size=33, lr=1e-2, save_every=5, log_every=1)
NETWORK = """
from torch import nn

def tiny():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.GELU(), nn.Conv2d(8, 12, 3), nn.Dropout(0.5)
    )
"""


@pytest.fixture
def photos(small: object) -> Path:
    """The small set with a photograph of each place, whose colours say where it is."""
    draw, names = np.random.default_rng(0), []
    for row, (lon, lat) in enumerate(np.nan_to_num(small.table.lonlat)):
        colour = np.stack([np.cos(np.deg2rad(lon)), np.sin(np.deg2rad(lon)), np.sin(np.deg2rad(lat))])
        pixels = 128 + 90 * colour + draw.normal(0, 20, (9, 9, 3))
        names.append(f"{row}.png")
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(small.folder / names[-1])
    columns = {"split": small.table.columns["split"], "file": np.array(names)}
    write_table(PlaceTable(small.table.ids, small.table.lonlat, columns), small.table_path)
    (small.folder / "network.py").write_text(NETWORK)
    return small.folder


def recipe(folder: Path, out: str = "run", **changes: object) -> Pretrain:
    settings = {"objective": "CLIP-BD", "learn": "B", "encoder": ENCODER, "schedule": SCHEDULE, "image_size": 9}
    settings |= {"image_network": f"{folder / 'network.py'}:tiny", "image_chunk": 5, "image_lr_factor": 1.0, **changes}
    return Pretrain(folder / "table.parquet", out=folder / out, split="split", device="cpu", **settings)


def losses(job: Pretrain) -> list[float]:
    lines = [json.loads(line) for line in (job.out / "metrics.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines if "loss" in line]


def test_it_learns_and_its_weights_give_features(photos: Path) -> None:
    job = recipe(photos, schedule=replace(SCHEDULE, steps=60))
    pretrain(job, progress=False)
    found = losses(job)
    assert np.mean(found[-5:]) < np.mean(found[:5]) - 0.5
    started = load_network(job.image_network).module.state_dict()
    trained = load_network(job.image_network, weights=str(job.out / "image-network.safetensors")).module.state_dict()
    for name, value in trained.items():
        moved = not torch.equal(value, started[name])
        assert moved == ("running" not in name and "num_batches" not in name), name  # batch norm keeps its statistics
    asked = Features(
        table=job.table,
        out=photos / "features-of-it",
        model=job.image_network,
        weights=str(job.out / "image-network.safetensors"),
        size=9,
    )
    features = open_features(build_features(asked))
    model = load_dual_encoder(job)
    assert isinstance(model.image, ImageBranch)
    images = torch.from_numpy(np.stack([np.asarray(Image.open(photos / f"{row}.png")) for row in range(7)]))
    with torch.no_grad():
        direct, embedded = model.image.network(images), model.embed_image(images)
    assert features.values[:7] == pytest.approx(direct.numpy(), abs=1e-5)
    assert torch.allclose(embedded, model.image.linear(direct), atol=1e-5)


def test_chunks_change_nothing(photos: Path) -> None:
    few, all_at_once = recipe(photos, "few"), recipe(photos, "all", image_chunk=100)
    for job in (few, all_at_once):
        pretrain(job, progress=False)
    assert losses(few) == pytest.approx(losses(all_at_once), rel=1e-4)


def test_it_goes_on_where_it_stopped(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = recipe(photos, "whole")
    pretrain(whole, progress=False)
    step, count = Criterion.forward, 0

    def stop(*given: object, **options: object) -> object:
        nonlocal count
        count += 1
        if count == 8:
            raise KeyboardInterrupt
        return step(*given, **options)

    job = recipe(photos, "stopped")
    monkeypatch.setattr(Criterion, "forward", stop)
    with pytest.raises(KeyboardInterrupt):
        pretrain(job, progress=False)
    pretrain(job, progress=False)
    for name in ("encoder/model.safetensors", "image-network.safetensors"):
        assert (job.out / name).read_bytes() == (whole.out / name).read_bytes()
    (photos / "3.png").write_bytes((photos / "4.png").read_bytes())
    other = recipe(photos, "stopped", image_size=8)
    with pytest.raises(ValueError, match="belongs to another run: features was"):
        pretrain(job, progress=False)
    with pytest.raises(ValueError, match="belongs to another run"):
        pretrain(other, progress=False)


def test_what_is_refused(photos: Path) -> None:
    with pytest.raises(ValueError, match=r"give one of features, .* and image_network"):
        recipe(photos, features=photos / "features")
    with pytest.raises(ValueError, match=r"give one of features, .* and image_network"):
        Pretrain(photos / "table.parquet", out=photos / "run")
    with pytest.raises(ValueError, match="images and image_weights are for an image network that is trained"):
        Pretrain(photos / "table.parquet", photos / "features", out=photos / "run", images=photos)
    with pytest.raises(ValueError, match="MSE compares with features that stay as they are"):
        recipe(photos, objective="MSE")
    with pytest.raises(ValueError, match="image_chunk must be a whole number of at least 1, got 0"):
        recipe(photos, image_chunk=0)
    with pytest.raises(ValueError, match="'picture'"):
        pretrain(recipe(photos, image_column="picture"), progress=False)
    (photos / "7.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"no image .*7\.png \(row 7\)"):
        pretrain(recipe(photos), progress=False)
    assert read_table(photos / "table.parquet").columns["file"][7] == "7.png"
