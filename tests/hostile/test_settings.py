"""Settings that no encoder has: refused with the folder's or file's name, before anything is made of them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

import locenc
from locenc_csp.finetuned import load_finetuned
from locenc_csp.metrics_log import MetricsLog

GOOD = {
    "format": "locenc",
    "format_version": 1,
    "position": {"name": "wrap"},
    "network": {"name": "ffn", "hidden_dim": 5},
    "dim": 4,
    "dtype": "float32",
}
DEEP = "[" * 100_000


def written(folder: Path, text: str) -> Path:
    """An encoder's folder whose configuration is a text."""
    folder.mkdir(exist_ok=True)
    save_file({"weight": torch.zeros(1)}, folder / "model.safetensors", metadata={"config": text})
    return folder


CHANGES: list[dict[str, Any]] = [
    *({"format_version": value} for value in (0, -1, 2, 10**9, True, "1", None, 1.0, [1])),
    *({"format": value} for value in ("", "other", None, 1, ["locenc"])),
    *({"crs": value} for value in ("EPSG:3857", None, 4326)),
    {"coordinate_order": ["latitude", "longitude"]},
    *({"dim": value} for value in (0, -1, 10**9, 2**24, True, 1.5, "4", None, [4], {}, float("nan"), float("inf"))),
    *({"dtype": value} for value in ("int64", "load", "nn", "complex64", "bool", "", 3, None, ["float32"])),
    *({"network": value} for value in (None, {}, [1], 7, "no such", {"name": None}, {"name": ["ffn"]}, {"name": {}})),
    *({"network": {"name": "ffn", "hidden_dim": value}} for value in (10**9, -1, 0, "5", None, float("nan"), [5])),
    *({"network": {"name": "ffn", "dropout": value}} for value in (1.0, -0.1, float("nan"), "0.5", None)),
    {"network": {"name": "ffn", "no such": 1}},
    *({"position": value} for value in (None, {}, [1], 7, "wrap", {"name": None}, {"name": "no such"}, {"name": [1]})),
    *({"position": {"name": "sphere2vec-sphereC", "num_scales": value}} for value in (10**9, 2**24, 0, -1, 1.5, "3")),
    *({"position": {"name": "sphere2vec-sphereC", "min_radius": value}} for value in (0, -1, 1e308, float("nan"), "1")),
    *(
        {"position": {"name": "rbf", "anchors": value}}
        for value in ([], [[1]], [[0, 95]], "x", [[0.0, 0.0]] * 5000, None)
    ),
    *({"position": {"name": "geoclip", "sigmas": value}} for value in ([], [0], [float("nan")], "abc", {"a": 1}, 3)),
    {"position": {"name": "wrap", "device": "cuda"}},
    {"position": {"name": "wrap", "__class__": "x"}},
]


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_odd_values(change: dict[str, Any], tmp_path: Path) -> None:
    folder = written(tmp_path / "encoder", json.dumps({**GOOD, **change}))
    with pytest.raises(ValueError, match="encoder"):
        locenc.from_pretrained(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(GOOD)[:-1] + ', "dim": 5}', "the key 'dim' stands there twice"),
        (
            json.dumps(GOOD).replace('"hidden_dim"', '"name": "siren", "hidden_dim"'),
            "the key 'name' stands there twice",
        ),
        (DEEP, "nested too deep"),
        ('{"position": ' * 100_000, "nested too deep"),
        ("", "no JSON"),
        ("{", "no JSON"),
        ("null", "names no locenc format"),
        ("[]", "names no locenc format"),
        ('{"dim": 1' + "0" * 5000 + "}", "no JSON"),
        ("\ud800".encode("utf-8", "surrogatepass").decode("latin1"), "no JSON"),
    ],
    ids=range(10),
)
def test_odd_texts(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=rf"encoder.*{message}"):
        locenc.from_pretrained(written(tmp_path / "encoder", text))
    save_file({"weight": torch.zeros(1)}, tmp_path / "encoder" / "model.safetensors")
    (tmp_path / "encoder" / "config.json").write_text(text)
    with pytest.raises(ValueError, match=rf"encoder.*{message}"):
        locenc.from_pretrained(tmp_path / "encoder")


def beside(name: str, load: Callable[[Path], Any], target: str) -> Callable[[Path, str], Any]:
    """A loader of weights with settings in a file beside them."""

    def read(folder: Path, text: str) -> Any:
        save_file({"location.x": torch.zeros(1)}, folder / "model.safetensors")
        (folder / name).write_text(text)
        return load(folder / target)

    return read


def finetuned(folder: Path, text: str) -> Any:
    (folder / "result.json").write_text(text)
    locenc.create("wrap", dim=4).save_pretrained(folder / "encoder")
    return load_finetuned(folder)


READERS = {
    "load_tte": ("config.json", beside("config.json", locenc.load_tte, "")),
    "load_torchspatial": (
        "model.params.json",
        beside("model.params.json", locenc.load_torchspatial, "model.safetensors"),
    ),
    "load_satclip": ("model.params.json", beside("model.params.json", locenc.load_satclip, "model.safetensors")),
    "load_finetuned": ("result.json", finetuned),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize(
    "text", [DEEP, "", "{", '{"a": 1, "a": 2}', '{"a": 1' + "0" * 5000 + "}", "\x00"], ids=range(6)
)
def test_settings_beside_weights(reader: str, text: str, tmp_path: Path) -> None:
    name, read = READERS[reader]
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "result",
    [
        {},
        {"chosen": [], "recipe": {}, "classes": []},
        {"chosen": {"mode": []}, "recipe": {"head": "softmax"}, "classes": ["a"]},
        {"chosen": {"mode": "full"}, "recipe": {"head": "no such"}, "classes": ["a"]},
        {"chosen": {"mode": "full"}, "recipe": {"head": "softmax"}, "classes": 10**9},
        {"chosen": {"mode": "full"}, "recipe": {"head": "softmax"}, "classes": ["a", "b"]},  # and no head.safetensors
        [],
    ],
    ids=str,
)
def test_odd_results_of_finetuning(result: object, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"(result\.json|head\.safetensors) is"):
        finetuned(tmp_path, json.dumps(result))


GEO: list[Any] = [
    *(f"{text}" for text in ("", "{", DEEP, '{"columns": {}, "columns": {}}')),
    *([], 3, None, {}, {"primary_column": 7}, {"primary_column": "no such"}),
    *({"primary_column": "geometry", "columns": value} for value in ([], 3, "x", {}, {"geometry": []})),
    *(
        {"primary_column": "geometry", "columns": {"geometry": {"crs": value}}}
        for value in ("no such", 3, [], {}, {"id": []}, {"id": {"authority": {}, "code": []}}, "x" * 10_000, True)
    ),
]


@pytest.mark.parametrize("geo", GEO, ids=range(len(GEO)))
def test_odd_geo_metadata(geo: Any, tmp_path: Path) -> None:
    """Points of well-known binary in a file whose geo metadata are odd: refused by name, or taken as degrees."""
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    point = bytes([1, 1, 0, 0, 0]) + bytes(16)
    table = pa.table({"geometry": pa.array([point], pa.binary())})
    text = geo if isinstance(geo, str) else json.dumps(geo)
    pq.write_table(table.replace_schema_metadata({"geo": text}), source)
    try:
        locenc.embed_parquet(source, target, locenc.position_encoder("xyz"), progress=False)
    except ValueError as error:
        said = str(error)
    else:
        assert isinstance(geo, dict)
        return
    assert "in.parquet" in said
    assert len(said) < 1000
    assert not target.exists()


def test_odd_lines_of_metrics(tmp_path: Path) -> None:
    """What stands behind a line that is none is made again with the steps behind the last checkpoint."""
    for line in ("[]", "7", '{"step": "x"}', '{"no": 1}', DEEP, '{"step": 1, "step": 2}'):
        (tmp_path / "metrics.jsonl").write_text(f'{{"step": 1}}\n{line}\n{{"step": 2}}\n')
        MetricsLog(tmp_path, 5)
        assert (tmp_path / "metrics.jsonl").read_text() == '{"step": 1}\n'
