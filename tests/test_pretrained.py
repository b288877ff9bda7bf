"""Saving and loading: the same numbers back, and damaged or foreign files refused."""

import copy
import inspect
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import locenc
from locenc import registry

POINTS = torch.tensor([[2.35, 48.86], [-179.9, -12.0], [540.0, 90.0]], dtype=torch.float64)


SMALL = {"num_scales": 3, "num_features": 4, "num_degrees": 3, "num_anchors": 5, "num_sites": 6, "num_tokens": 3}


def small_options(name: str) -> dict[str, int]:
    """Options that keep an encoder small, of those that it has."""
    options = inspect.signature(registry._ENTRIES[name].build).parameters
    return {key: value for key, value in SMALL.items() if key in options}


def tiny(**options: object) -> locenc.LocationEncoder:
    return locenc.Sphere2Vec("sphereC", dim=6, num_scales=3, network={"name": "ffn", "hidden_dim": 5}, **options)


@pytest.mark.parametrize("name", locenc.list_encoders())
@pytest.mark.parametrize("network", ["ffn", "residual", "linear"])
def test_round_trip(name: str, network: str, tmp_path: Path) -> None:
    encoder = locenc.create(name, dim=6, network=network, **small_options(name)).eval()
    encoder.save_pretrained(tmp_path / "encoder")
    loaded = locenc.from_pretrained(tmp_path / "encoder")
    assert not loaded.training
    assert loaded.config == encoder.config
    assert torch.equal(loaded(POINTS), encoder(POINTS))


def test_the_dtype_of_the_weights_is_kept(tmp_path: Path) -> None:
    tiny().double().save_pretrained(tmp_path)
    assert locenc.from_pretrained(tmp_path)(POINTS).dtype == torch.float64


def test_the_weights_file_is_complete_by_itself(tmp_path: Path) -> None:
    encoder = tiny().eval()
    encoder.save_pretrained(tmp_path)
    (tmp_path / "config.json").unlink()
    assert torch.equal(locenc.from_pretrained(tmp_path)(POINTS), encoder(POINTS))


def test_what_a_configuration_says(tmp_path: Path) -> None:
    tiny().save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["coordinate_order"] == ["longitude", "latitude"]
    assert config["crs"] == "EPSG:4326"
    assert config["locenc_version"] == locenc.__version__
    assert config["format_version"] == 1


def test_no_random_number_of_the_caller_is_taken(tmp_path: Path) -> None:
    encoder = tiny()
    state = torch.get_rng_state()
    encoder.save_pretrained(tmp_path)
    locenc.from_pretrained(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_missing_folder_and_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no model\.safetensors in .*nowhere.*there is no such folder"):
        locenc.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"expected a folder that encoder\.save_pretrained wrote"):
        locenc.from_pretrained(tmp_path)


@pytest.mark.parametrize("cut", [1, 100, 100_000])
def test_truncated_weights(cut: int, tmp_path: Path) -> None:
    tiny().save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged or cut short.*save or download it again"):
        locenc.from_pretrained(tmp_path)


def rewrite(folder: Path, change: dict[str, object]) -> None:
    """Write the weights again under a changed configuration."""
    from safetensors.torch import load_file, save_file

    config = json.loads((folder / "config.json").read_text()) | change
    path = folder / "model.safetensors"
    save_file(load_file(path), path, metadata={"config": json.dumps(config)})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 99}, r"newer locenc \(format 99.*pip install --upgrade locenc"),
        ({"format": "other"}, "does not hold a locenc encoder"),
        ({"format_version": "1"}, "does not hold a locenc encoder"),
        ({"dim": 7}, r"does not fit its configuration: network\.layers\.1\.linear\.bias should be \(7,\), is \(6,\)"),
        ({"position": {"name": "sphere2vec-sphereC", "num_scales": 4}}, r"should be \(5, 12\), is \(5, 9\)"),
        ({"position": {"name": "sphereC"}}, "unknown encoder 'sphereC'"),
        ({"position": None}, "does not describe an encoder: position is None"),
        ({"dtype": "no_dtype"}, "does not describe an encoder"),
        ({"format_version": 0}, "names format_version 0, which never was"),
        ({"dim": 10**9}, r"dim is 1000000000; counts stay below 16,777,216"),
        ({"dim": "6"}, "dim must be a whole number"),
        ({"dim": True}, "dim must be a whole number"),
        ({"dim": 10**6}, r"should be \(1000000,\), is \(6,\)"),
        ({"position": {"name": "sphere2vec-dfs", "num_scales": 4000}}, r"should be \(5, 64016000\), is \(5, 9\)"),
        ({"position": {"name": "nerf", "num_scales": 2**20}}, "num_scales must be a whole number from 1 to 50"),
        (
            {"network": {"name": "ffn", "num_hidden_layers": 2**20}},
            "num_hidden_layers must be a whole number from 0 to 256",
        ),
        ({"position": {"name": "wrap", "date": "no"}}, "date of 'wrap' must be True or False, got 'no'"),
        ({"position": {"name": "wrap", "date": [0] * 5000}}, r"position\.date is \[0, 0"),
        ({"network": {"name": "ffn", "hidden_dim": 1e400}}, r"network\.hidden_dim is inf"),
        ({"coordinate_order": ["latitude", "longitude"]}, r"has coordinate_order \['latitude', 'longitude'\]"),
        ({"crs": "EPSG:3857"}, "has crs 'EPSG:3857'"),
    ],
)
def test_configurations_that_do_not_fit(change: dict[str, object], message: str, tmp_path: Path) -> None:
    tiny().save_pretrained(tmp_path)
    rewrite(tmp_path, change)
    with pytest.raises(ValueError, match=message):
        locenc.from_pretrained(tmp_path)


def test_an_encoder_without_names_says_what_to_do(tmp_path: Path) -> None:
    encoder = locenc.LocationEncoder(locenc.position_encoder("wrap"), locenc.FFN(4, 3))
    with pytest.raises(ValueError, match=r"network \(FFN\) has no configuration: build it by name"):
        encoder.save_pretrained(tmp_path)


def test_a_full_disk_leaves_the_old_encoder(tmp_path: Path, file_size_limit: Callable) -> None:
    encoder = tiny().eval()
    encoder.save_pretrained(tmp_path)
    message = r"cannot write .*model\.safetensors: File too large.*is untouched; free space"
    with pytest.raises(OSError, match=message), file_size_limit(100):
        tiny().save_pretrained(tmp_path)
    assert torch.equal(locenc.from_pretrained(tmp_path)(POINTS), encoder(POINTS))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


def test_an_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match=r"cannot write .*choose a folder you can write to"):
        tiny().save_pretrained(tmp_path / "file" / "encoder")


def test_the_hub_is_asked_only_by_its_own_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tiny().eval()
    encoder.save_pretrained(tmp_path)
    asked = []

    def snapshot_download(name: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        asked.append((name, revision, allow_patterns))
        return str(tmp_path)

    module = types.ModuleType("huggingface_hub")
    module.snapshot_download = snapshot_download
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    loaded = locenc.from_pretrained("hf://org/name", revision="v1")
    assert torch.equal(loaded(POINTS), encoder(POINTS))
    assert asked == [("org/name", "v1", ["config.json", "model.safetensors"])]
    with pytest.raises(FileNotFoundError):
        locenc.from_pretrained("org/name")
    assert len(asked) == 1


def test_a_missing_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ImportError, match=r'huggingface_hub is needed for this: pip install "locenc\[hub\]"'):
        locenc.from_pretrained("hf://org/name")


@pytest.mark.parametrize("name", locenc.list_encoders())
def test_built_without_memory_then_filled(name: str) -> None:
    encoder = locenc.create(name, dim=6, **small_options(name)).eval()
    with torch.device("meta"):
        empty = locenc.create(name, dim=6, **small_options(name)).eval()
    for skeleton in (empty, copy.deepcopy(encoder).to("meta")):
        filled = skeleton.to_empty(device="cpu")
        filled.load_state_dict(encoder.state_dict())
        assert torch.equal(filled(POINTS), encoder(POINTS))


def test_constants_of_a_wrap_with_an_extent_survive_to_empty() -> None:
    encoder = locenc.create("wrap", dim=6, extent=(-10, 20, -5, 7)).eval()
    filled = copy.deepcopy(encoder).to("meta").to_empty(device="cpu")
    filled.load_state_dict(encoder.state_dict())
    assert torch.equal(filled(POINTS), encoder(POINTS))


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    encoder = tiny()
    encoder.network.config = {**encoder.network.config, "note": "x" * 5000}
    with pytest.raises(ValueError, match=r"network\.note is 'xxx"):
        encoder.save_pretrained(tmp_path)
    assert not list(tmp_path.iterdir())


def test_numpy_numbers_among_the_options(tmp_path: Path) -> None:
    options = {"name": "ffn", "hidden_dim": np.int64(5), "dropout": np.float32(0.5)}
    encoder = locenc.create("wrap", dim=np.int64(6), network=options).eval()
    encoder.save_pretrained(tmp_path)
    assert torch.equal(locenc.from_pretrained(tmp_path)(POINTS), encoder(POINTS))


def test_a_registered_encoder_without_a_dtype(tmp_path: Path) -> None:
    @locenc.register("test-without-dtype")
    class Plain(locenc.PositionEncoder):
        def __init__(self, *, values: tuple[float, ...] = (1.0,) * 100) -> None:
            super().__init__(2)

        def features(self, lonlat: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
            return (lonlat / 180).to(dtype)

    try:
        encoder = locenc.create("test-without-dtype", dim=6).eval()
        encoder.save_pretrained(tmp_path)
        assert torch.equal(locenc.from_pretrained(tmp_path)(POINTS), encoder(POINTS))
    finally:
        del registry._ENTRIES["test-without-dtype"]
