"""Features of frozen networks: by name, from image files or patches, stopped and continued."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from locenc_csp.cli import main
from locenc_csp.datasets import bluemarble
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import write_table
from locenc_csp.extracting import build_features
from locenc_csp.features import open_features
from locenc_csp.image_files import ImageFiles
from locenc_csp.image_networks import IMAGENET_MEAN, IMAGENET_STD, FrozenNetwork
from locenc_csp.named_networks import load_network
from locenc_csp.recipes import Features

NETWORK = """
import os
from torch import nn

class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, 5, 3)
        self.norm = nn.BatchNorm2d(5)
        self.dropout = nn.Dropout(0.5)

    def forward(self, images):
        with open(__file__ + ".log", "a+") as log:
            log.write(f"{len(images)} ")
            log.seek(0)
            if os.path.exists(__file__ + ".stop") and len(log.read().split()) > 6:
                raise KeyboardInterrupt
        return self.dropout(self.norm(self.convolution(images)))

def make():
    return Tiny()

ready = Tiny()
class Place:
    inner = ready
number = 7
def nothing():
    return None
"""

NAMES = [f"{row // 8}/{row}.png" for row in range(20)]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A table of 20 places and a photograph of each, 12 pixels high and 10 to 29 wide."""
    draw = np.random.default_rng(0)
    for row, name in enumerate(NAMES):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(draw.integers(0, 256, (12, 10 + row, 3), dtype=np.uint8)).save(path)
    (tmp_path / "network.py").write_text(NETWORK)
    table = PlaceTable([f"p{row}" for row in range(20)], np.zeros((20, 2)), {"file": np.array(NAMES)})
    write_table(table, tmp_path / "table.parquet")
    return tmp_path


def recipe(folder: Path, **settings) -> Features:
    usual = {"model": f"{folder / 'network.py'}:make", "size": 8, "batch_size": 4}
    return Features(table=folder / "table.parquet", **{"images": folder / "photos", **usual, **settings})


def batches(folder: Path) -> list[int]:
    return [int(one) for one in (folder / "network.py.log").read_text().split()]


def expected(folder: Path, network: nn.Module, size: int = 8) -> np.ndarray:
    """Features one image at a time, step by step."""
    rows = []
    for name in NAMES:
        image = Image.open(folder / "photos" / name)
        short = min(image.size)
        left, top = (image.width - short) / 2, (image.height - short) / 2
        box = (left, top, left + short, top + short)
        pixels = np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box)).astype(np.float64) / 255
        values = torch.from_numpy((pixels - IMAGENET_MEAN) / IMAGENET_STD).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            rows.append(network(values).mean((2, 3))[0].numpy())
    return np.stack(rows)


def test_features_of_a_network_in_a_file(photos):
    folder = build_features(recipe(photos))
    assert folder == photos / "features"
    matrix = open_features(folder)
    assert matrix.ids.tolist() == [f"p{row}" for row in range(20)]
    assert {name: matrix.meta[name] for name in ("model", "size", "mean", "std", "dim", "extractor")} == {
        "model": f"{photos / 'network.py'}:make",
        "size": 8,
        "mean": list(IMAGENET_MEAN),
        "std": list(IMAGENET_STD),
        "dim": 5,
        "extractor": "FrozenNetwork",
    }
    assert batches(photos) == [1, 4, 4, 4, 4, 4]  # the first looks what the network returns
    network = load_network(f"{photos / 'network.py'}:make").module.eval()
    assert matrix.values == pytest.approx(expected(photos, network), abs=1e-5)
    assert build_features(recipe(photos)) == folder  # found, not computed


def test_stopped_features_go_on_to_the_same_bytes(photos, tmp_path, monkeypatch):
    whole = build_features(recipe(photos, out=tmp_path / "whole", batch_size=1))
    (photos / "network.py.log").unlink()
    (photos / "network.py.stop").touch()
    monkeypatch.setattr("locenc_csp.writing_features.BATCHES_PER_CHUNK", 2)
    with pytest.raises(KeyboardInterrupt):
        build_features(recipe(photos, batch_size=1))
    (photos / "network.py.stop").unlink()
    (photos / "network.py.log").unlink()
    found = build_features(recipe(photos, batch_size=1))
    assert len(batches(photos)) == 1 + 20 - 4  # two chunks of two were finished
    assert (found / "features.npy").read_bytes() == (whole / "features.npy").read_bytes()


def test_other_settings_are_not_mixed_up(photos):
    build_features(recipe(photos))
    for changed, what in (
        ({"size": 6}, "source_sha256, size"),
        ({"mean": (0.5, 0.5, 0.5)}, "extractor_sha256, mean"),
        ({"seed": 1}, "extractor_sha256"),
    ):
        with pytest.raises(ValueError, match=rf"holds other features \(they differ in {what}\)"):
            build_features(recipe(photos, **changed))


def test_random_filters_of_image_files(photos):
    folder = build_features(recipe(photos, model="random-conv", num_filters=3))
    matrix = open_features(folder)
    assert matrix.values.shape == (20, 6)
    assert matrix.meta["extractor"] == "RandomConvFeatures"


def test_a_network_on_the_patches_of_a_data_set(tmp_path):
    ids = np.array([f"p{row}" for row in range(10)])
    write_table(PlaceTable(ids, np.zeros((10, 2))), tmp_path / "table.parquet")
    np.save(tmp_path / "ids.npy", ids)
    patches = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
    np.save(tmp_path / "patches.npy", patches)
    (tmp_path / "meta.json").write_text(json.dumps({"sha256": bluemarble._digest(tmp_path)}))
    (tmp_path / "network.py").write_text(NETWORK)
    model = f"{tmp_path / 'network.py'}:make"
    own = open_features(build_features(Features(data=tmp_path, model=model)))
    assert own.meta["size"] == 32
    network = load_network(model).module.eval()
    values = (torch.from_numpy(patches).double() / 255 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    with torch.no_grad():
        direct = network(values.permute(0, 3, 1, 2).float()).mean((2, 3)).numpy()
    assert own.values == pytest.approx(direct, abs=1e-5)
    larger = open_features(build_features(Features(data=tmp_path, out=tmp_path / "larger", model=model, size=48)))
    assert larger.values.shape == own.values.shape
    assert not np.allclose(larger.values, own.values, atol=1e-4)


def test_the_command_line(photos, capsys):
    arguments = ["--table", photos / "table.parquet", "--images", photos / "photos", "--size", 8]
    arguments += ["--model", f"{photos / 'network.py'}:make", "--mean", 0, 0, 0, "--std", 1, 1, 1]
    assert main(["features", *map(str, arguments)]) == 0
    assert f"features: {photos / 'features'}" in capsys.readouterr().out
    assert open_features(photos / "features").meta["std"] == [1, 1, 1]
    assert main(["features", *map(str, arguments), "--model", "torchvision:resnet18", "--weights", "random"]) == 1
    assert "pip install torchvision" in capsys.readouterr().err


def test_image_files_are_cut_to_a_square_and_turned(tmp_path):
    """Four quarters of one colour each; EXIF says that the picture lies on its side."""
    pixels = np.zeros((40, 80, 3), np.uint8)
    pixels[:20, 20:40], pixels[:20, 40:60], pixels[20:, 20:40], pixels[20:, 40:60] = [[9], [50], [100], [200]]
    image, exif = Image.fromarray(pixels), Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° clockwise
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "turned.png", exif=exif)
    image.convert("L").save(tmp_path / "grey.png")
    plain, turned, grey = ImageFiles(tmp_path, ["plain.png", "turned.png", "grey.png"], size=40, workers=2)[:]
    assert np.array_equal(plain, pixels[:, 20:60])
    assert np.array_equal(turned, np.rot90(plain, -1))
    assert np.array_equal(grey, plain)
    assert ImageFiles(tmp_path, ["plain.png"], size=2)[1:].shape == (0, 2, 2, 3)


def test_image_files_that_are_missing_or_damaged_are_named(photos):
    with pytest.raises(FileNotFoundError, match=r"no image .*0/0\.png \(row 0\), and 19 more rows, of 20: .*--images"):
        build_features(recipe(photos, images=photos))
    (photos / "photos" / NAMES[9]).write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"1/9\.png \(row 9\) is no image, or damaged"):
        build_features(recipe(photos))
    with pytest.raises(
        ValueError, match=r"unknown column of image files 'picture'.*There are: file\. Name it with --column"
    ):
        build_features(recipe(photos, column="picture"))
    with pytest.raises(ValueError, match="row 1 names none, and 1 more row"):
        ImageFiles(photos / "photos", [NAMES[0], "", ""], size=8)


@pytest.mark.parametrize("name", ["make", "ready", "Place.inner", "Tiny"])
def test_networks_of_the_user(photos, name, monkeypatch):
    spec = f"{photos / 'network.py'}:{name}"
    before = torch.random.get_rng_state()
    network = load_network(spec, seed=3)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert type(network.module).__name__ == "Tiny"
    same = load_network(spec, seed=3).module.state_dict()
    assert all(torch.equal(value, same[key]) for key, value in network.module.state_dict().items())
    monkeypatch.syspath_prepend(str(photos))
    assert type(load_network(f"network:{name}").module).__name__ == "Tiny"
    monkeypatch.delitem(sys.modules, "network")


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_weights_from_a_file(photos, suffix):
    spec = f"{photos / 'network.py'}:make"
    state, path = load_network(spec, seed=5).module.state_dict(), photos / f"weights{suffix}"
    torch.save({"state_dict": state}, path) if suffix == ".pth" else save_file(state, path)
    found = load_network(spec, weights=str(path)).module.state_dict()
    assert all(torch.equal(value, found[key]) for key, value in state.items())
    other = {key: value for key, value in state.items() if "norm" not in key}
    torch.save(other, path) if suffix == ".pth" else save_file(other, path)
    with pytest.raises(ValueError, match=r"weights\.\w+ do not fit the network: (.|\n)*norm\.weight"):
        load_network(spec, weights=str(path))
    path.write_bytes(b"damage")
    with pytest.raises(ValueError, match=r"weights\.\w+ holds no state dict, or is damaged"):
        load_network(spec, weights=str(path))
    with pytest.raises(FileNotFoundError, match=r"no weights at .*none\.pth"):
        load_network(spec, weights=str(photos / "none.pth"))


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("resnet50", ValueError, "cannot tell what network 'resnet50' is: expected random-conv, torchvision:NAME"),
        ("{file}:mke", ValueError, r"unknown attribute of .*network\.py: 'mke'.*Did you mean 'make'"),
        ("{file}:number", TypeError, r"network\.py:number must be a torch\.nn\.Module, or make one, got int"),
        ("{file}:nothing", TypeError, "or make one, got NoneType"),
        ("nowhere.py:make", FileNotFoundError, r"no file nowhere\.py: expected Python code"),
        ("no_such.package:make", ImportError, "no module 'no_such' to take a network from: install it, or name a file"),
        (
            "torchvision:resnet50",
            ValueError,
            r"weights of torchvision:resnet50 must be said: a file .*, pretrained .*or random",
        ),
    ],
)
def test_what_is_no_network_is_refused(photos, spec, error, message):
    with pytest.raises(error, match=message):
        load_network(spec.format(file=photos / "network.py"))


def test_weights_by_name_are_for_the_packages(photos):
    with pytest.raises(ValueError, match="weights 'pretrained' are for torchvision and timm"):
        load_network(f"{photos / 'network.py'}:make", weights="pretrained")


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (lambda images: images.mean(), r"must return a tensor \(B, F\) or \(B, F, h, w\), got \(\) for 1 images"),
        (lambda images: (images,), "got tuple for 1 images"),
        (lambda images: images.flatten(2), r"got \(1, 3, 64\)"),
        (lambda images: images.reshape(-1, 3), r"got \(64, 3\) for 1 images"),
        (lambda images: images @ torch.zeros(3, 3), r"does not take images \(B, 3, 8, 8\): Expected size"),
        (lambda images: torch._assert(images.shape[-1] == 9, "9 pixels"), r"does not take images .*: 9 pixels"),
        (lambda images: images.view(1, -1), r"does not take images .*needs --no-channels-last"),
    ],
)
def test_what_no_image_network_returns(returned, message):
    class Odd(nn.Module):
        def forward(self, images):
            return returned(images)

    with pytest.raises(ValueError, match=message):
        FrozenNetwork(Odd(), image_size=(8, 8))


def test_channels_last_or_not_gives_the_same(photos):
    network = load_network(f"{photos / 'network.py'}:ready").module
    images = torch.randint(0, 256, (3, 9, 9, 3), dtype=torch.uint8)
    one, two = (FrozenNetwork(network, image_size=(9, 9), channels_last=way)(images) for way in (True, False))
    assert torch.allclose(one, two, atol=1e-5)
    assert not one.requires_grad


@pytest.mark.parametrize("settings", [{"mean": (0.0, 0.0)}, {"std": (1.0, 0.0, 1.0)}])
def test_preparation_that_is_none(settings):
    with pytest.raises(ValueError, match="mean and std must be 3 numbers each, std above 0"):
        FrozenNetwork(nn.Identity(), image_size=(8, 8), **settings)


class Classifier(nn.Module):
    """Stands in for a network of torchvision or timm, three classes."""

    def __init__(self):
        super().__init__()
        self.body = nn.Conv2d(3, 4, 3)
        self.head = nn.Sequential(nn.Dropout(), nn.Linear(4, 3))

    def forward(self, images):
        return self.head(self.body(images).mean((2, 3)))

    def reset_classifier(self, num_classes):
        assert num_classes == 0
        self.head = nn.Identity()


TORCHVISION = """
class Transforms:
    crop_size, mean, std = [16], [0.1, 0.2, 0.3], [0.4, 0.5, 0.6]
class Published:
    transforms = Transforms
class Weights:
    DEFAULT = Published
class NoWeights:
    pass
def list_models(module): return ["tiny", "bare", "remote"]
def get_model_weights(name): return Weights if name == "tiny" else NoWeights
def get_model(name, weights):
    if name == "remote": raise OSError("no route to host")
    made.append((name, weights))
    return make()
"""

TIMM = """
def is_model(name): return name == "tiny"
def list_models(): return ["tiny"]
def create_model(name, pretrained):
    made.append((name, pretrained))
    return make()
"""


@pytest.fixture
def packages(tmp_path, monkeypatch) -> list[tuple[str, object]]:
    """Small packages called torchvision and timm that have what ours asks of them; a list of what was made."""
    made: list[tuple[str, object]] = []
    (tmp_path / "torchvision").mkdir()
    (tmp_path / "torchvision" / "__init__.py").write_text("")
    (tmp_path / "torchvision" / "models.py").write_text(TORCHVISION)
    (tmp_path / "timm").mkdir()
    (tmp_path / "timm" / "__init__.py").write_text(TIMM)
    config = "{'input_size': (3, 20, 20), 'mean': (0.5, 0.5, 0.5), 'std': (0.5, 0.5, 0.5)}"
    (tmp_path / "timm" / "data.py").write_text(f"def resolve_model_data_config(model): return {config}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    names = ("torchvision.models", "torchvision", "timm.data", "timm")
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    import timm
    import torchvision.models

    for package in (timm, torchvision.models):
        package.made, package.make = made, Classifier
    yield made
    for name in names:
        sys.modules.pop(name, None)


def test_a_network_of_torchvision_loses_its_last_layer(packages, tmp_path):
    network = load_network("torchvision:tiny", weights="pretrained")
    assert (network.size, network.mean, network.std) == (16, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert network.module(torch.zeros(2, 3, 8, 8)).shape == (2, 4)
    state = Classifier().state_dict()
    torch.save(state, tmp_path / "tiny.pth")
    own = load_network("torchvision:tiny", weights=str(tmp_path / "tiny.pth"))
    assert torch.equal(own.module.body.weight, state["body.weight"])
    without_the_last = {name: 2 * value for name, value in own.module.state_dict().items()}
    torch.save(without_the_last, tmp_path / "trained.pth")
    trained = load_network("torchvision:tiny", weights=str(tmp_path / "trained.pth"))
    assert torch.equal(trained.module.body.weight, 2 * state["body.weight"])
    bare = load_network("torchvision:bare", weights="random")
    assert (bare.size, bare.mean) == (None, IMAGENET_MEAN)
    made = [("tiny", False), ("tiny", True), ("tiny", True), ("bare", True)]
    assert [(name, weights is None) for name, weights in packages] == made
    with pytest.raises(ValueError, match=r"unknown image classifier of torchvision 'tini'. Did you mean 'tiny'"):
        load_network("torchvision:tini", weights="random")
    with pytest.raises(
        ValueError, match=r"torchvision:remote could not be made .*no route to host.*file with --weights"
    ):
        load_network("torchvision:remote", weights="pretrained")


def test_a_network_of_timm(packages, tmp_path):
    network = load_network("timm:tiny.in1k", weights="pretrained")
    assert (network.size, network.mean, network.std) == (20, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert network.module(torch.zeros(2, 3, 8, 8)).shape == (2, 4)
    torch.save(Classifier().state_dict(), tmp_path / "tiny.pth")
    own = load_network("timm:tiny", weights=str(tmp_path / "tiny.pth"))
    torch.save(own.module.state_dict(), tmp_path / "trained.pth")
    load_network("timm:tiny", weights=str(tmp_path / "trained.pth"))
    assert packages == [("tiny.in1k", True), ("tiny", False), ("tiny", False)]
    with pytest.raises(ValueError, match=r"unknown network of timm 'tini'.*timm\.list_models\(\) lists them"):
        load_network("timm:tini", weights="random")


@pytest.mark.parametrize("package", ["torchvision", "timm"])
@pytest.mark.parametrize("code", ["raise RuntimeError('operator torchvision::nms does not exist')", None])
def test_a_package_that_does_not_import(tmp_path, monkeypatch, package, code):
    if code is None:
        monkeypatch.setitem(sys.modules, package, None)
    else:
        (tmp_path / f"{package}.py").write_text(code)
        monkeypatch.syspath_prepend(str(tmp_path))
    message = (
        rf"{package}:resnet18 needs {package}, which does not import here \(.*\): pip install {package}, the build"
    )
    with pytest.raises(ImportError, match=message):
        load_network(f"{package}:resnet18", weights="random")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"images": Path("photos")}, "images need a table"),
        ({"weights": "a.pth"}, "random-conv has no weights to load"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
    ],
)
def test_settings_that_do_not_go_together(settings, message):
    with pytest.raises(ValueError, match=message):
        Features(**settings)


def test_a_device_that_is_not_here(photos):
    with pytest.raises(ValueError, match="device 'cuda:99' was asked for, but torch finds"):
        build_features(recipe(photos, device="cuda:99"))
