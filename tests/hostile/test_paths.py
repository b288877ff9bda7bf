"""Names in files lead nowhere else, and what is written replaces a link instead of what it leads to."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile_files import checkpoint

import locenc
from locenc._files import write_bytes
from locenc_csp.checkpoints import read_checkpoint
from locenc_csp.image_files import ImageFiles


@pytest.mark.parametrize(
    "name", ["../secret.png", "/etc/passwd", "a/../../secret.png", "..", "", "a\0b.png", "~/../../secret.png"]
)
def test_names_of_images_stay_in_their_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "secret.png").write_bytes(b"secret")
    with pytest.raises(ValueError, match=r"row 0 (has .*|names none)"):
        ImageFiles(tmp_path / "images", [name], size=4)


def test_images_in_the_folder_under_any_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save("a.png")
    for name in ("a.png", "./a.png", "b/../a.png", str(tmp_path / "a.png")):
        assert ImageFiles(Path("."), [name] if "b/" not in name else ["a.png"], size=2)[:].shape == (1, 2, 2, 3)


def test_names_in_an_archive_are_never_files(tmp_path: Path) -> None:
    folder = tmp_path / "inner" / "folder"
    folder.mkdir(parents=True)
    path = folder / "checkpoint.pt"
    torch.save(checkpoint(), path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("checkpoint/../../../RAN", b"x")
        archive.writestr("checkpoint//tmp/RAN", b"x")
    read_checkpoint(path)
    assert sorted(one.name for one in tmp_path.rglob("*")) == ["checkpoint.pt", "folder", "inner"]


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "encoder"
    victim.write_bytes(b"precious")
    folder.mkdir()
    for name in ("model.safetensors", "config.json"):
        (folder / name).symlink_to(victim)
    locenc.create("wrap", dim=4).save_pretrained(folder)
    assert victim.read_bytes() == b"precious"
    assert not (folder / "model.safetensors").is_symlink()
    write_bytes(folder / "config.json", b"{}")
    assert victim.read_bytes() == b"precious"


def test_a_link_to_weights_is_read(tmp_path: Path) -> None:
    """Model hubs keep their files so: links in a folder that lead out of it."""
    encoder = locenc.create("wrap", dim=4)
    encoder.save_pretrained(tmp_path / "store")
    (tmp_path / "snapshot").mkdir()
    (tmp_path / "snapshot" / "model.safetensors").symlink_to(tmp_path / "store" / "model.safetensors")
    assert locenc.from_pretrained(tmp_path / "snapshot").config == encoder.config


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_links_that_lead_nowhere_and_folders_instead_of_files(name: str, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").symlink_to(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match=r"no model\.safetensors in"):
        locenc.from_pretrained(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "model.safetensors").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no model\.safetensors in"):
        locenc.from_pretrained(tmp_path)
    with pytest.raises(IsADirectoryError, match="is a folder"):
        locenc.load_torchspatial(tmp_path)


def test_a_saved_encoder_names_no_file(tmp_path: Path) -> None:
    """Names of the two files are fixed: no setting can lead to another."""
    locenc.create("wrap", dim=4).save_pretrained(tmp_path)
    text = (tmp_path / "config.json").read_text()
    assert ".safetensors" not in text
    assert str(tmp_path) not in text + io.BytesIO((tmp_path / "model.safetensors").read_bytes()).read().decode("latin1")
