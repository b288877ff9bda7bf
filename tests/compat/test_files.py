"""Foreign checkpoints are read without running their code or trusting their size."""

import argparse
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from locenc.compat._files import read_pickle, read_safetensors

CHECKPOINT = {
    "state_dict": {"weight": torch.arange(6.0).reshape(2, 3), "double": torch.ones(2, dtype=torch.float64)},
    "params": {"spa_enc_type": "rbf", "ids": [np.int64(7), np.float64(0.5), 3], "none": None, "nested": (1, True)},
}


class Code:
    """Pickles into a call of os.system."""

    def __reduce__(self) -> tuple:
        return os.system, ("echo this must never run > RAN",)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.pth.tar"
    torch.save(CHECKPOINT, path)
    return path


def test_reads_what_torch_wrote(file: Path) -> None:
    found = read_pickle(file)
    assert found["params"] == CHECKPOINT["params"]
    for key, tensor in CHECKPOINT["state_dict"].items():
        assert torch.equal(found["state_dict"][key], tensor)
        assert found["state_dict"][key].dtype == tensor.dtype
    assert read_pickle(str(file))["params"] == CHECKPOINT["params"]


def test_reads_numbers_of_either_numpy(file: Path, tmp_path: Path) -> None:
    """NumPy 1 wrote ``numpy.core``, NumPy 2 writes ``numpy._core``."""
    other = tmp_path / "other.pt"
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(other, "w") as target:
        for entry in source.infolist():
            data = source.read(entry)
            if entry.filename.endswith("data.pkl"):
                assert b"cnumpy._core.multiarray" in data
                data = data.replace(b"cnumpy._core.multiarray", b"cnumpy.core.multiarray")
            target.writestr(entry, data)
    assert read_pickle(other)["params"] == CHECKPOINT["params"]


SCALARS = [np.dtype(code).type(1) for code in "?" + np.typecodes["AllInteger"] + np.typecodes["Float"]]


def test_values_of_numpy(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    values = [*SCALARS, np.str_("grid")]
    arrays = [
        *(np.array([[value] * 3, [0] * 3], dtype=value.dtype) for value in SCALARS),
        np.array(["a", "bcd"]),
        np.arange(6.0).reshape(2, 3).T,
        np.arange(3, dtype=">i4"),
        np.zeros((0, 2)),
    ]
    torch.save({"values": values, "arrays": arrays}, path)
    found = read_pickle(path)
    assert found["values"] == values
    assert [value.dtype for value in found["values"]] == [value.dtype for value in values]
    for array, expected in zip(found["arrays"], arrays, strict=True):
        np.testing.assert_array_equal(array, expected)
        assert array.dtype == expected.dtype.newbyteorder("=")


@pytest.mark.parametrize(
    "value", [np.array([{}, 1]), np.array([(1, 2.0)], dtype="i4,f8"), np.datetime64("2020-01-01"), np.array([1j])]
)
def test_what_is_not_supported_is_not_called_damage(value: object, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"value": value}, path)
    with pytest.raises(ValueError, match=r"model\.pt holds (content that is not supported|more than)") as caught:
        read_pickle(path)
    assert "download" not in str(caught.value)


class Sizes:
    """Pickles into a call of NumPy's array with a size."""

    def __reduce__(self) -> tuple:
        return np.ndarray, ((1 << 50,), "O")


def test_no_array_is_made_by_its_size(tmp_path: Path) -> None:
    torch.save(Sizes(), tmp_path / "model.pt")
    assert read_pickle(tmp_path / "model.pt").size == 0


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for read in (read_pickle, read_safetensors):
        with pytest.raises(FileNotFoundError, match=r"absent\.pt.*download"):
            read(tmp_path / "absent.pt")
        with pytest.raises(IsADirectoryError, match=r"is a folder"):
            read(tmp_path)


@pytest.mark.parametrize("kept", [100, 0.5, -1, -30])
def test_a_truncated_file(file: Path, kept: float) -> None:
    data = file.read_bytes()
    file.write_bytes(data[: int(kept * len(data)) if isinstance(kept, float) else kept])
    with pytest.raises(ValueError, match=r"model\.pth\.tar is damaged or cut short.*download it again"):
        read_pickle(file)


def test_damage_inside(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.pt"
    with zipfile.ZipFile(file) as source, zipfile.ZipFile(other, "w") as target:
        for entry in source.infolist():
            data = source.read(entry)
            target.writestr(entry, data[:-40] if entry.filename.endswith("data.pkl") else data)
    with pytest.raises(ValueError, match=r"other\.pt is damaged .*download it again"):
        read_pickle(other)
    empty = tmp_path / "empty.pt"
    with zipfile.ZipFile(empty, "w") as target:
        target.writestr("archive/nothing", b"")
    with pytest.raises(ValueError, match=r"empty\.pt is damaged .*download it again"):
        read_pickle(empty)


@pytest.mark.parametrize("content", [b"", b"<!DOCTYPE html><html>", b"version https://git-lfs.github.com/spec/v1\n"])
def test_not_a_checkpoint(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.pth\.tar was not written by torch\.save.*download it again"):
        read_pickle(file)


def test_a_bare_pickle_is_refused_unread(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file.write_bytes(pickle.dumps(Code()))
    with pytest.raises(ValueError, match=r"bare pickle.*before version 1\.6.*convert it once.*weights_only=True"):
        read_pickle(file)
    torch.save(CHECKPOINT["state_dict"], file, _use_new_zipfile_serialization=False)
    with pytest.raises(ValueError, match=r"bare pickle"):
        read_pickle(file)
    assert not (tmp_path / "RAN").exists()


def test_a_zip_bomb(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    torch.save({"weight": torch.zeros(1)}, tmp_path / "small.pt")
    with (
        zipfile.ZipFile(tmp_path / "small.pt") as source,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for entry in source.infolist():
            data = b"\0" * (1 << 24) if entry.filename.endswith("data/0") else source.read(entry)
            target.writestr(entry.filename, data)
    assert path.stat().st_size < 1 << 17
    with pytest.raises(ValueError, match=r"bomb\.pt unpacks to 16,777,\d{3} bytes, more than the 1,048,576"):
        read_pickle(path, max_bytes=1 << 20)


def test_the_cap_is_exact(file: Path) -> None:
    with zipfile.ZipFile(file) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    assert read_pickle(file, max_bytes=size)["params"]["spa_enc_type"] == "rbf"
    with pytest.raises(ValueError, match=rf"unpacks to {size:,} bytes"):
        read_pickle(file, max_bytes=size - 1)


def test_a_number_expanded_to_many(tmp_path: Path) -> None:
    path = tmp_path / "bomb.pt"
    torch.save({"state_dict": {"weight": torch.zeros(1).expand(1 << 20, 1 << 20)}}, path)
    with pytest.raises(ValueError, match=r"bomb\.pt unpacks to 4,398,046,511,104 bytes"):
        read_pickle(path)


@pytest.mark.parametrize(
    ("content", "named"),
    [(Code(), r"system"), (argparse.Namespace(lr=1), r"argparse\.Namespace"), (Path("weights"), r"pathlib")],
)
def test_code_is_refused(
    file: Path, content: object, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"weight": torch.ones(2)}, "hyper_parameters": content}, file)
    with pytest.raises(ValueError, match=named + r".*refused.*weights_only=False.*state_dict.*torch\.save"):
        read_pickle(file)
    assert not (tmp_path / "RAN").exists()


def test_safetensors(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "model.safetensors"
    save_file(CHECKPOINT["state_dict"], path)
    found = read_safetensors(path)
    assert all(torch.equal(found[key], tensor) for key, tensor in CHECKPOINT["state_dict"].items())
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"model\.safetensors is no safetensors file or is damaged.*download it again"):
        read_safetensors(path)
