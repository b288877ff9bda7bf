"""Pickles with code: refused with the name of the file, and nothing of them runs."""

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hostile_files import PICKLES, Call, checkpoint, nested, rewritten, touch, with_pickle

from locenc_csp.datasets.matrices import read_sparse
from locenc_csp.datasets.probabilities import open_probabilities
from locenc_csp.features import open_features


def among_settings(marker: Path) -> Any:
    return checkpoint(params={"spa_enc_type": "xyz", "note": touch(marker)})


def among_weights(marker: Path) -> Any:
    return checkpoint(state_dict={"weight": torch.zeros(2), "bias": touch(marker)})


def as_a_key(marker: Path) -> Any:
    return checkpoint(state_dict={touch(marker): torch.zeros(2)})


def as_everything(marker: Path) -> Any:
    return touch(marker)


def of_the_system(marker: Path) -> Any:
    return checkpoint(epoch=Call(os.system, f"touch {marker}"))


def as_hooks(marker: Path) -> Any:
    """In the place of a tensor's hooks."""
    storage = torch.zeros(2)._typed_storage()
    return checkpoint(w=Call(torch._utils._rebuild_tensor_v2, storage, 0, (2,), (1,), False, touch(marker)))


def by_a_name_of_torch(marker: Path) -> Any:
    """Through the function that calls what it is given."""
    code = f"open({str(marker)!r}, 'w').close()"
    return checkpoint(w=Call(torch._tensor._rebuild_from_type_v2, exec, torch.Tensor, (code,), {}))


def by_a_state(marker: Path) -> Any:
    """In the attributes of a dictionary."""
    held = OrderedDict(a=1)
    held.note = touch(marker)  # type: ignore[attr-defined]
    return checkpoint(model=held)


WAYS = [
    among_settings,
    among_weights,
    as_a_key,
    as_everything,
    of_the_system,
    as_hooks,
    by_a_name_of_torch,
    by_a_state,
]


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "RAN"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loader", PICKLES)
def test_code_in_a_pickle(loader: str, way: Callable[[Path], Any], marker: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(way(marker), path)
    with pytest.raises(ValueError, match=r"model\.pt.*(exec|system).*refused"):
        PICKLES[loader](path)
    assert not marker.exists()


@pytest.mark.parametrize("way", WAYS)
def test_the_code_would_run(way: Callable[[Path], Any], marker: Path, tmp_path: Path) -> None:
    """What these tests prove rests on it."""
    path = tmp_path / "model.pt"
    torch.save(way(marker), path)
    with suppress(AttributeError):  # what came of the call is no tensor
        torch.load(path, weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize("loader", PICKLES)
def test_a_bare_pickle_and_one_before_an_archive(loader: str, marker: Path, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(pickle.dumps(touch(marker)))
    with pytest.raises(ValueError, match=r"model\.pt.*bare pickle"):
        PICKLES[loader](path)
    archive = io.BytesIO()
    torch.save(checkpoint(), archive)
    path.write_bytes(pickle.dumps(touch(marker)) + archive.getvalue())
    with pytest.raises(ValueError, match=r"model\.pt"):
        PICKLES[loader](path)
    assert not marker.exists()


@pytest.mark.parametrize(
    "pickled",
    [
        b"cos\nsystem\n(S'touch RAN'\ntR.",  # protocol 0
        b"(S'touch RAN'\nios\nsystem\n.",  # INST
        b"(cos\nsystem\nS'touch RAN'\no.",  # OBJ
        b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x09touch RAN\x85R.",  # STACK_GLOBAL
        b"\x80\x02\x82\x01.",  # an extension code
        b"\x80\x05\x96\x00\x00\x00\x00\x01\x00\x00\x00.",  # a bytearray of 4 GiB
        b"\x80\x02(]r\xff\xff\xff\xff.",  # a place in the memo far away
        b"\x80\x02",
        b"",
        b".",
        nested(50_000),
        nested(500),
    ],
)
@pytest.mark.parametrize("loader", PICKLES)
def test_other_ways_of_writing(loader: str, pickled: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"model\.pt"):
        PICKLES[loader](with_pickle(tmp_path / "model.pt", pickled))
    assert not (tmp_path / "RAN").exists()


def test_two_pickles_in_an_archive(marker: Path, tmp_path: Path) -> None:
    """PyTorch and Python would read different ones."""
    path, bad = tmp_path / "model.pt", io.BytesIO()
    torch.save(checkpoint(), path)
    torch.save(touch(marker), bad)
    with zipfile.ZipFile(bad) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
        data = archive.read(name)
    for other in ("other/data.pkl", "model/DATA.PKL"):
        torch.save(checkpoint(), path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(other, data)
        with pytest.raises(ValueError, match=r"model\.pt is damaged \(two files of one name, or more than one folder"):
            PICKLES["load_torchspatial"](path)
    assert not marker.exists()


def test_a_script_of_torch(tmp_path: Path) -> None:
    """TorchScript holds code."""
    path = tmp_path / "model.pt"
    torch.save(checkpoint(), path)
    rewritten(path, lambda data: data)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/constants.pkl", b"\x80\x02).")
        archive.writestr("model/code/__torch__.py", b"def forward(self): return 1")
    with pytest.raises(ValueError, match=r"model\.pt"):
        PICKLES["load_torchspatial"](path)


def objects(marker: Path) -> np.ndarray:
    array = np.empty(2, object)
    array[:] = [touch(marker), 1]
    return array


def test_arrays_of_objects(marker: Path, tmp_path: Path) -> None:
    for name in ("features.npy", "ids.npy"):
        folder = tmp_path / name.removesuffix(".npy")
        folder.mkdir()
        np.save(folder / "features.npy", np.zeros((2, 3), np.float32))
        np.save(folder / "ids.npy", np.array(["a", "b"]))
        np.save(folder / name, objects(marker))
        (folder / "meta.json").write_text("{}")
        with pytest.raises(ValueError, match=rf"{name} is damaged.*objects"):
            open_features(folder)
    folder = tmp_path / "probabilities"
    folder.mkdir()
    np.save(folder / "ids.npy", objects(marker))
    (folder / "meta.json").write_text('{"classes": ["a"]}')
    with pytest.raises(ValueError, match=r"ids\.npy is damaged.*objects"):
        open_probabilities(folder)
    np.savez(tmp_path / "sparse.npz", format=np.array("csr"), shape=np.array([2, 1]), data=objects(marker))
    with pytest.raises(ValueError, match=r"sparse\.npz is no sparse matrix"):
        read_sparse(tmp_path / "sparse.npz")
    np.load(tmp_path / "features" / "features.npy", allow_pickle=True)
    assert marker.exists()  # it would have run
