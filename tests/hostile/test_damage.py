"""Files with flipped bits or cut short: refused, or, where a flip lands in the numbers, read as the numbers say."""

import json
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hostile_files import checkpoint

import locenc
from locenc.compat._files import read_pickle
from locenc.parquet import source as source_files
from locenc.parquet.target import Target
from locenc_csp.checkpoints import read_checkpoint
from locenc_csp.datasets.table import PlaceTable
from locenc_csp.datasets.table_files import read_table, write_table
from locenc_csp.features import digest_values, open_features


def flips(data: bytes, *, every: int, start: int = 0, stop: int | None = None) -> Iterator[tuple[int, bytes]]:
    """The same bytes with one bit flipped: at every so many places, another bit each time."""
    for number, place in enumerate(range(start, len(data) if stop is None else stop, every)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << number % 8
        yield place, bytes(flipped)


def refusal(
    read: Callable[[Path], Any], path: Path, *, named: str, kinds: tuple[type[Exception], ...] = (ValueError,)
) -> Any:
    """What is read, or the text of the error, which names the file."""
    try:
        return read(path)
    except kinds as error:
        text = str(error)
    assert named in text
    return text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    encoder = locenc.create("sphere2vec-sphereC", dim=4, num_scales=3, network={"name": "ffn", "hidden_dim": 5})
    encoder.save_pretrained(tmp_path / "encoder")
    return tmp_path / "encoder"


def numbers(data: bytes) -> dict[str, np.ndarray]:
    """The arrays in a file of safetensors, by its layout alone."""
    (length,) = struct.unpack("<Q", data[:8])
    header, body = json.loads(data[8 : 8 + length]), data[8 + length :]
    return {
        name: np.frombuffer(body[slice(*about["data_offsets"])], "<f4").reshape(about["shape"])
        for name, about in header.items()
        if name != "__metadata__"
    }


def test_flips_among_the_numbers_of_an_encoder(folder: Path) -> None:
    """No checksum guards them: what is read is what is there."""
    path = folder / "model.safetensors"
    data = path.read_bytes()
    head = 8 + struct.unpack("<Q", data[:8])[0]
    tried = 0
    for _, flipped in flips(data, every=5, start=head):
        path.write_bytes(flipped)
        found = locenc.from_pretrained(folder).state_dict()
        for name, expected in numbers(flipped).items():
            np.testing.assert_array_equal(found[name].numpy().view(np.uint32), expected.view(np.uint32))
        tried += 1
    assert tried > 50


def test_flips_in_the_header_of_an_encoder(folder: Path) -> None:
    """Each is refused by name, or changes what is said of the numbers, never the numbers."""
    path = folder / "model.safetensors"
    data = path.read_bytes()
    head = 8 + struct.unpack("<Q", data[:8])[0]
    (folder / "config.json").unlink()
    refused = read = 0
    for _, flipped in flips(data, every=3, stop=head):
        path.write_bytes(flipped)
        encoder = refusal(locenc.from_pretrained, folder, named=str(folder), kinds=(ValueError, FileNotFoundError))
        if isinstance(encoder, str):
            refused += 1
        else:
            for name, expected in numbers(data).items():
                np.testing.assert_array_equal(encoder.state_dict()[name].numpy(), expected)
            read += 1
    assert refused > 100
    assert read < refused


@pytest.mark.parametrize("share", np.linspace(0, 0.999, 25))
def test_an_encoder_that_is_cut_short(folder: Path, share: float) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged or cut short"):
        locenc.from_pretrained(folder)


def test_an_encoder_with_more_behind_it(folder: Path) -> None:
    with open(folder / "model.safetensors", "ab") as file:
        file.write(b"more")
    with pytest.raises(ValueError, match=r"model\.safetensors is damaged or cut short"):
        locenc.from_pretrained(folder)


@pytest.mark.parametrize("read", [read_pickle, read_checkpoint, locenc.load_torchspatial])
def test_flips_in_a_file_of_torch(read: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save(checkpoint(state_dict={"weight": torch.arange(300.0)}), path)
    data = path.read_bytes()
    refused = 0
    for _, flipped in flips(data, every=11):
        path.write_bytes(flipped)
        refused += isinstance(refusal(read, path, named="model.pt"), str)
    assert refused > 20


def test_flips_among_the_numbers_of_a_file_of_torch(tmp_path: Path) -> None:
    """PyTorch looks at no checksum there: what is read is what is there."""
    path, weight = tmp_path / "model.pt", torch.arange(300.0)
    torch.save({"weight": weight}, path)
    data = path.read_bytes()
    start = data.index(weight.numpy().tobytes())
    for place, flipped in flips(data, every=29, start=start, stop=start + 1200):
        path.write_bytes(flipped)
        found = read_pickle(path)["weight"].numpy().tobytes()
        assert found == flipped[start : start + 1200], place


def test_flips_in_features(tmp_path: Path) -> None:
    """Values that changed are found by the checksum in meta.json."""
    folder = tmp_path / "features"
    folder.mkdir()
    values = np.arange(40, dtype=np.float32).reshape(10, 4)
    np.save(folder / "features.npy", values)
    np.save(folder / "ids.npy", np.array([f"{row}" for row in range(10)]))
    (folder / "meta.json").write_text("{}")
    good = open_features(folder)
    (folder / "meta.json").write_text(json.dumps({"values_sha256": digest_values(good.values)}))
    for name in ("features.npy", "ids.npy"):
        data = (folder / name).read_bytes()
        for _, flipped in flips(data, every=3):
            (folder / name).write_bytes(flipped)
            found = refusal(open_features, folder, named=str(folder))
            if isinstance(found, str) or name == "ids.npy":  # ids are compared with the table's
                continue
            if not np.array_equal(found.values.view(np.uint32), values.view(np.uint32)):
                with pytest.raises(ValueError, match=r"features\.npy has changed since it was computed"):
                    found.check_values()
        (folder / name).write_bytes(data)


def test_flips_in_a_table(tmp_path: Path) -> None:
    """Pages that this library writes have checksums: a flip is refused, or leaves the rows as they were."""
    path = tmp_path / "table.parquet"
    rng = np.random.default_rng(0)
    lonlat = rng.uniform(-80, 80, (50, 2))
    write_table(PlaceTable(np.array([f"p{row}" for row in range(50)]), lonlat, {}), path)
    data = path.read_bytes()
    refused = 0
    for _, flipped in flips(data, every=7):
        path.write_bytes(flipped)
        found = refusal(read_table, path, named="table.parquet")
        if isinstance(found, str):
            refused += 1
        else:
            np.testing.assert_array_equal(found.lonlat, lonlat)
    assert refused > 50


def test_flips_in_geoparquet(tmp_path: Path) -> None:
    """The footer with its geo metadata has no checksum: a flip is refused by name, or the rows are as many."""
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    points = geopandas.points_from_xy([2.35, -77.04], [48.86, -12.05], crs=4326)
    geopandas.GeoDataFrame({"name": ["a", "b"]}, geometry=points).to_parquet(source)
    data = source.read_bytes()
    encoder = locenc.position_encoder("xyz")

    def embed(path: Path) -> Any:
        return locenc.embed_parquet(path, target, encoder, overwrite=True, progress=False)

    start = data.rindex(b"ARROW:schema")
    for _, flipped in [*flips(data, every=41, stop=start), *flips(data, every=7, start=len(data) - 60)]:
        source.write_bytes(flipped)
        report = refusal(embed, source, named="in.parquet", kinds=(ValueError, TypeError))
        assert isinstance(report, str) or report.rows == pq.read_metadata(target).num_rows


def test_flips_in_the_journal_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines behind a damaged one are made again: the file is the same in the end, or the error names the job."""
    monkeypatch.setattr(source_files, "CHUNK", 1)
    rng = np.random.default_rng(0)
    table = pa.table({"lon": rng.uniform(-170, 170, 1200), "lat": rng.uniform(-80, 80, 1200)})
    source, target = tmp_path / "in.parquet", tmp_path / "out.parquet"
    pq.write_table(table, source)
    encoder, options = locenc.position_encoder("xyz"), {"lon": "lon", "lat": "lat", "progress": False}
    locenc.embed_parquet(source, target, encoder, **options)
    whole = target.read_bytes()
    target.unlink()
    finish = Target.finish

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Target, "finish", stop)
    with pytest.raises(KeyboardInterrupt):
        locenc.embed_parquet(source, target, encoder, **options)
    monkeypatch.setattr(Target, "finish", finish)
    partial = tmp_path / ".out.parquet.partial"
    held = {path.name: path.read_bytes() for path in partial.iterdir()}
    changed = [
        *(json.dumps(line).encode() + b"\n" for line in ([], {"end": 10**30, "error": 0, "group": ""}, 7)),
        *(
            b'{"end": %s, "error": %s, "group": "%s"}\n' % line
            for line in ((b"-5", b"0", b""), (b"1e999", b"0", b"AA=="))
        ),
        b"[" * 100_000 + b"\n",
        b'{"end": 4, "error": NaN, "group": "AA=="}\n',
    ]
    for line in changed:
        for name, content in held.items():
            partial.mkdir(exist_ok=True)
            (partial / name).write_bytes(content)
        lines = held["finished.jsonl"].splitlines(keepends=True)
        (partial / "finished.jsonl").write_bytes(lines[0] + line + b"".join(lines[1:]))
        locenc.embed_parquet(source, target, encoder, overwrite=True, **options)
        assert target.read_bytes() == whole
