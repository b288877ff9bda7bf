"""Doors of files: folders and checkpoints, recipes, and the trainer on a small table."""

import dataclasses
import json
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

import locenc
import locenc_csp as csp
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import write_table
from scripts.fuzz import values
from scripts.fuzz.calls import Call
from scripts.fuzz.table import door
from scripts.fuzz.values import some

WORDS: tuple[Any, ...] = (
    "params", "state_dict", "spa_enc_type", "xyz", "wrap", "geo_net", "frequency_num", "min_radius", "max_radius",
    "spa_f_act", "relu", "hyper_parameters", "le_type", "pe_type", "linear", "siren", "input_enc", "sin_cos", "T",
)  # fmt: skip
KEYS = (
    "spa_enc.ffn.layers.0.linear.weight", "spa_enc.ffn.layers.0.linear.bias", "feats.0.weight", "feats.0.bias",
    "class_emb.weight", "nnet.weight", "nnet.bias", "LocEnc0.capsule.0.b", "LocEnc0.capsule.1.weight",
    "LocEnc0.head.0.weight", "location._directions", "location._embeddings", "location.semantic_registers.registers",
)  # fmt: skip


def spoilt(rng: random.Random, path: Path) -> Path:
    """A file, in some cases cut, with a flipped bit, or with something else in it."""
    way = rng.random()
    data = bytearray(path.read_bytes())
    if way < 0.25:
        path.write_bytes(bytes(data[: rng.randrange(len(data))]))
    elif way < 0.5:
        for _ in range(rng.choice((1, 1, 8))):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(data))
    elif way < 0.55:
        path.write_bytes(rng.randbytes(rng.choice((0, 1, 8, 100))))
    return path


def settings(rng: random.Random) -> Any:
    """A value as a file of settings holds it."""
    way = rng.random()
    if way < 0.6:
        return rng.choice(("xyz", "wrap", "relu", "T", 0, 1, 2, -1, 0.5, 1e308, float("nan"), None, True, "", [], {}))
    if way < 0.8:
        return [settings(rng) for _ in range(rng.choice((0, 1, 4)))]
    return {rng.choice(WORDS): settings(rng) for _ in range(2)}


@door("locenc.from_pretrained", 2)
def from_pretrained(rng: random.Random, folder: Path) -> Call:
    made = rng.choice([one for one in values.ready() if isinstance(one, locenc.LocationEncoder)])
    place = folder / f"encoder-{rng.getrandbits(30)}"
    made.save_pretrained(place)
    if rng.random() < 0.5:
        spoilt(rng, place / "model.safetensors")
    else:  # another configuration around the same numbers
        from safetensors.torch import load_file, save_file

        config = json.loads((place / "config.json").read_text())
        for _ in range(rng.choice((1, 2))):
            part = rng.choice([config, config["position"], config["network"]])
            part = part if isinstance(part, dict) and part else config
            part[rng.choice([*part, "no such"])] = settings(rng)
        tensors = load_file(place / "model.safetensors")
        save_file(tensors, place / "model.safetensors", metadata={"config": json.dumps(config)})
    given = some(rng, place, folder / "absent", "", str(place / "model.safetensors"), share=0.97)
    return Call(locenc.from_pretrained, (given,))


def _loader(public: str, load: Callable[..., Any]) -> None:
    @door(f"locenc.{public}", 1.5)
    def make(rng: random.Random, folder: Path) -> Call:
        """A checkpoint of words and keys that such files hold, in any combination."""
        path = folder / f"{public}-{rng.getrandbits(30)}.pt"
        state = {
            rng.choice(KEYS): torch.zeros(tuple(rng.choice((1, 2, 3, 4)) for _ in range(rng.choice((1, 2, 2, 2)))))
            for _ in range(rng.choice((0, 2, 5, 9)))
        }
        params = {rng.choice(WORDS): settings(rng) for _ in range(rng.choice((0, 3, 9)))}
        if rng.random() < 0.8:
            params |= {
                "spa_enc_type": rng.choice(
                    ("xyz", "wrap", "geo_net", "rff", "rbf", "naive", "nerf", "Space2Vec-grid", "gridcell")
                )
            }
            params |= {
                "le_type": rng.choice(("wrap", "grid", "direct")),
                "pe_type": rng.choice(("linear", "siren", "mlp", "fcnet")),
            }
            params |= {"spa_f_act": "relu", "frequency_num": rng.choice((1, 2, "x"))}
        torch.save(
            {"state_dict": state, "params": params, "hyper_parameters": params} if rng.random() < 0.8 else state, path
        )
        if rng.random() < 0.2:
            spoilt(rng, path)
        return Call(load, (some(rng, path, folder / "absent.pt", folder, share=0.97),))


for one in ("torchspatial", "geoclip", "satclip", "csp", "sphere2vec", "sinr", "tte"):
    _loader(f"load_{one}", getattr(locenc, f"load_{one}"))


@cache
def small(folder: Path) -> Path:
    """A table of twenty places with features."""
    place = folder / "small"
    place.mkdir()
    rng = np.random.default_rng(0)
    lonlat = np.stack([rng.uniform(-180, 180, 20), rng.uniform(-80, 80, 20)], 1)
    ids = np.array([f"p{row}" for row in range(20)])
    split = np.array(["train", "train", "val", "test", "pool"])[np.arange(20) % 5]
    write_table(
        PlaceTable(ids, lonlat, {"label": np.array(["a", "b"])[np.arange(20) % 2], "split": split}),
        place / "table.parquet",
    )
    (place / "features").mkdir()
    np.save(place / "features" / "features.npy", rng.normal(size=(20, 4)).astype(np.float32))
    np.save(place / "features" / "ids.npy", ids)
    (place / "features" / "meta.json").write_text("{}")
    (place / "table.csv").write_text("id,lon,lat,label,split\na,1,2,x,train\nb,3,4,y,test\n")
    return place


def _fields(rng: random.Random, recipe: type, good: dict[str, tuple[Any, ...]]) -> dict[str, Any]:
    """Some fields of a recipe."""
    names = [
        one.name
        for one in dataclasses.fields(recipe)
        if one.name not in ("out", "table", "file", "folder", "run", "dataset")
    ]
    found = {name: some(rng, rng.choice(good[name]), share=0.8) for name in good if rng.random() < 0.3}
    return found | {name: rng.choice(values.JUNK) for name in rng.sample(names, 1) if rng.random() < 0.3}


ENCODER = csp.Encoder("wrap", dim=4, network="residual", network_options={"depth": 1})
ENCODERS = (
    ENCODER,
    csp.Encoder("xyz", dim=2, network="linear"),
    csp.Encoder("no such", dim=2),
    csp.Encoder("wrap", dim=4, options={"x": 1}),
)
GOOD: dict[str, dict[str, tuple[Any, ...]]] = {
    "Encoder": {"name": ("wrap", "no such"), "dim": (1, 8, 0), "options": ({}, {"a": 1}), "network": (None, "ffn")},
    "Schedule": {"epochs": (1, 0), "steps": (None, 2), "batch_size": (4, 0), "lr": (1e-3, 0.0), "seed": (0, -1)},
    "Pretrain": {
        "objective": ("NCE-B", "MC-BLD", "MSE", "no such"),
        "encoder": ENCODERS,
        "negatives": ("sphere", "box", "no such"),
        "num_negatives": (1, 2, 0),
        "image_components": (2, None, 0, 100),
        "split": (None, "split", "no such"),
        "validation_pairs": (0, 3, -1, 1000),
        "temperature": (0.1, {"B": 0.1}, 0),
        "learn": ("", "B", "X"),
        "jitter_m": (None, 10.0, -1),
    },
    "Finetune": {
        "label": ("label", "no such"),
        "encoder": ENCODERS,
        "label_ratio": (1.0, 0.5, 0, 2),
        "modes": (("full",), ("linear-probe",), ("knn-probe",), ("no such",), ()),
        "head": ("softmax", "presence", "no such"),
        "lrs": ((1e-3,), (), (0.0,)),
        "batch_size": (4, 0),
        "patience": (None, 1, 0),
        "split": ("split", "no such"),
    },
    "Evaluate": {"geo_bias": (True, False), "geo_bias_radius_km": (100.0, -1), "geo_bias_neighbours": (None, 5, 0)},
    "Import": {"features": (None, "x"), "val_share": (0.05, 1.5, -1), "seed": (0, -1), "table_only": (True, False)},
    "ImportTable": {
        "id": (None, "id", "no such"),
        "lon": ("lon", "label"),
        "label": (None, "label"),
        "split": (None, "split"),
        "make_split": (None, "random", "blocks", "no such"),
    },
}


def recipe(rng: random.Random, name: str, folder: Path) -> tuple[Callable[..., Any], dict[str, Any]]:
    """A recipe's class, and fields for it."""
    place, out = small(folder), folder / f"{name}-{rng.getrandbits(30)}"
    made = getattr(csp, name)
    found = _fields(rng, made, GOOD[name])
    table = some(rng, place / "table.parquet", place / "table.csv", place, folder / "absent", share=0.95)
    if name == "Pretrain":
        found = {
            "features": place / "features",
            "schedule": csp.Schedule(steps=1, batch_size=4),
            "encoder": ENCODER,
            "image_components": 2,
        } | found
        found |= {"table": table, "out": out}
    elif name == "Finetune":
        found = (
            {"label": "label", "encoder": ENCODER, "steps": 1, "modes": ("full",), "batch_size": 4}
            | found
            | {"table": table, "out": out}
        )
    elif name == "Evaluate":
        found |= {"run": some(rng, folder / "absent", place), "table": table}
    elif name == "Import":
        found |= {
            "dataset": some(rng, rng.choice(("inat2018", "fmow", "yfcc")), "no such"),
            "folder": place,
            "out": out,
        }
    elif name == "ImportTable":
        found |= {
            "file": some(rng, rng.choice((place / "table.csv", place / "table.parquet")), place, folder / "absent.csv"),
            "out": out,
        }
    return made, found


def _recipe(name: str) -> None:
    @door(f"locenc_csp.{name}", 1)
    def make(rng: random.Random, folder: Path) -> Call:
        made, fields = recipe(rng, name, folder)
        return Call(made, (), fields)


for one in ("Encoder", "Schedule", "Pretrain", "Finetune", "Evaluate", "Import", "ImportTable"):
    _recipe(one)


def _runs(public: str, name: str, share: float, **more: Any) -> None:
    @door(f"locenc_csp.{public}", share)
    def make(rng: random.Random, folder: Path) -> Call:
        made, fields = recipe(rng, name, folder)
        function = getattr(csp, public)
        return Call(lambda **fields: function(made(**fields), **more), (), fields)


_runs("pretrain", "Pretrain", 0.1, progress=False)
_runs("load_dual_encoder", "Pretrain", 0.1)
_runs("finetune", "Finetune", 0.1, progress=False)
_runs("evaluate", "Evaluate", 0.2)
_runs("import_published", "Import", 0.3)
_runs("import_table", "ImportTable", 0.3)


@door("locenc_csp.load_finetuned", 0.5)
def load_finetuned(rng: random.Random, folder: Path) -> Call:
    place = folder / f"tuned-{rng.getrandbits(30)}"
    locenc.create("xyz", dim=3, network="linear").save_pretrained(place / "encoder")
    head = csp.SoftmaxHead(3, 2)
    from safetensors.torch import save_file

    save_file(head.state_dict(), place / "head.safetensors")
    result: dict[str, Any] = {"chosen": {"mode": "full"}, "recipe": {"head": "softmax"}, "classes": ["a", "b"]}
    if rng.random() < 0.6:
        part = rng.choice([result, result["chosen"], result["recipe"]])
        part[rng.choice(list(part))] = settings(rng)
    (place / "result.json").write_text(json.dumps(result))
    if rng.random() < 0.4:
        spoilt(rng, rng.choice([place / "result.json", place / "head.safetensors"]))
    return Call(csp.load_finetuned, (some(rng, place, folder / "absent", share=0.97),))
