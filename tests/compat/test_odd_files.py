"""Files with odd content: each becomes an encoder, or an error that names the file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import peer_files as peer
import pytest
import torch

import locenc


def content_of(kind: str) -> dict[str, Any]:
    """A small checkpoint of TorchSpatial, as torch.save would write it."""
    rng = np.random.default_rng(5)
    params = peer.base_params(spa_enc_type=kind)
    state = {
        f"spa_enc.ffn.{key}": value for key, value in peer.ffn_state(3 if kind == "xyz" else 2, params, rng).items()
    }
    state["class_emb.weight"] = peer.draw((5, 6), rng)
    return {"state_dict": peer.tensors(state), "optimizer": {"state": {}}, "params": params}


@pytest.mark.parametrize("state", [None, [], 3, {0: 1}, {0: None, "x": {"exp_avg": 3}}, {0: [1, 2]}])
def test_an_odd_optimizer(state: object, tmp_path: Path) -> None:
    content = content_of("xyz")
    content["optimizer"] = {"state": state}
    content["state_dict"][7] = torch.zeros(2)
    torch.save(content, tmp_path / "model.pt")
    assert locenc.load_torchspatial(tmp_path / "model.pt").head is not None


FIRST = "spa_enc.ffn.layers.0.linear.weight"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("class_emb.weight", torch.zeros(6), "class_emb.weight should be a matrix"),
        ("class_emb.weight", torch.zeros(5, 6, dtype=torch.int64), "must be floating-point numbers, not torch.int64"),
        ("class_emb.bias", torch.zeros(4), "class_emb.bias does not fit"),
        (FIRST, torch.zeros(7, 3, dtype=torch.int32), "must be floating-point numbers, not torch.int32"),
        (FIRST, torch.zeros(7, 3).to_sparse(), f"{FIRST} is a sparse or quantised tensor"),
        (FIRST, torch.zeros(7, 3, device="meta"), f"{FIRST} is a sparse .* has no numbers"),
        (FIRST, torch.zeros(7), "no feed-forward network"),
    ],
)
def test_odd_tensors(key: str, value: torch.Tensor, message: str, tmp_path: Path) -> None:
    content = content_of("xyz")
    content["state_dict"][key] = value
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=message) as caught:
        locenc.load_torchspatial(tmp_path / "model.pt")
    assert "model.pt" in str(caught.value)


@pytest.mark.parametrize("value", ["-180,180,-90,90", "wide", [1, 2], 3, [None] * 4])
def test_an_odd_map_range(value: object, tmp_path: Path) -> None:
    content = content_of("naive")
    content["params"]["map_range"] = value
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(ValueError, match=r"model\.pt: its settings say map_range=.*not \(west, east, south, north\)"):
        locenc.load_torchspatial(tmp_path / "model.pt")


@pytest.mark.parametrize("name", ["le_type", "pe_type"])
def test_an_odd_kind_of_satclip(name: str, tmp_path: Path) -> None:
    settings = {"le_type": "wrap", "pe_type": "linear", name: ["grid"]}
    torch.save(
        {"state_dict": {"nnet.weight": torch.zeros(2, 4)}, "hyper_parameters": settings}, tmp_path / "model.ckpt"
    )
    with pytest.raises(ValueError, match=rf"model\.ckpt: unknown {name} "):
        locenc.load_satclip(tmp_path / "model.ckpt")


def geoclip(direction: torch.Tensor) -> dict[str, torch.Tensor]:
    return {
        "LocEnc0.capsule.0.b": direction,
        "LocEnc0.capsule.1.weight": torch.zeros(7, 80),
        "LocEnc0.capsule.1.bias": torch.zeros(7),
        "LocEnc0.head.0.weight": torch.zeros(5, 7),
        "LocEnc0.head.0.bias": torch.zeros(5),
    }


@pytest.mark.parametrize("make", [torch.zeros, torch.ones])
@pytest.mark.parametrize("factor", [0.0, 1e308, float("nan"), float("inf"), None])
def test_odd_directions_of_geoclip(make: Callable[..., torch.Tensor], factor: float | None, tmp_path: Path) -> None:
    shape = () if factor is None else (40, 2)
    direction = make(shape, dtype=torch.float64) * (1.0 if factor is None else factor)
    if make is torch.zeros and factor not in (0.0, None):
        direction[0, 0] = factor
    torch.save(geoclip(direction), tmp_path / "model.pth")
    with pytest.raises(ValueError, match=r"model\.pth: LocEnc0\.capsule\.0\.b should have directions"):
        locenc.load_geoclip(tmp_path / "model.pth")


def test_deep_settings(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    deep = "[" * 200_000
    save_file({"location.x": torch.zeros(1)}, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(deep)
    with pytest.raises(ValueError, match=r"config\.json is no JSON"):
        locenc.load_tte(tmp_path)
    (tmp_path / "model.params.json").write_text(deep)
    with pytest.raises(ValueError, match=r"model\.params\.json is no JSON"):
        locenc.load_torchspatial(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({}))
    with pytest.raises(ValueError, match="no complete location encoder"):
        locenc.load_tte(tmp_path)
