"""Small files that ask for gigabytes: refused with their name, in bounded memory, measured in a process of its own."""

import io
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import hostile_files as hostile
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

import locenc
from locenc.parquet import footer, thrift

GROWTH = 256  # MiB that the process may grow by over all these files; each asks for at least 384
BIG = 384 << 20

READ = """
import json, resource, signal, sys, time
from pathlib import Path
import torch, scipy.sparse, pyarrow.parquet, pyarrow.csv
import locenc, locenc_csp
sys.path.append(sys.argv[3])
import hostile_files
from locenc_csp.datasets import matrices, table_files
from locenc_csp.finetuned import load_finetuned
encoder = locenc.position_encoder("xyz")
readers = hostile_files.PICKLES | {
    "from_pretrained": locenc.from_pretrained,
    "read_sparse": matrices.read_sparse,
    "read_table": table_files.read_table,
    "open_features": locenc_csp.features.open_features,
    "load_finetuned": load_finetuned,
    "embed_parquet": lambda path: locenc.embed_parquet(path, path.with_suffix(".out"), encoder, progress=False),
}
locenc.embed([[0.0, 0.0]], encoder)
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (3 << 30),) * 2)  # a net: the machine is not filled by a failure
def late(*_): raise TimeoutError("not done in half a minute")
signal.signal(signal.SIGALRM, late)
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
before = peak()
for name, file in json.loads(Path(sys.argv[1]).read_text()):
    signal.alarm(30)
    start = time.perf_counter()
    try:
        readers[name](Path(file))
        outcome = "read"
    except Exception as error:
        outcome = f"{type(error).__name__}: {error}"
    print(json.dumps([name, file, outcome, peak() - before, time.perf_counter() - start]), flush=True)
Path(sys.argv[2]).write_text(str(peak() - before))
"""


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def packed_weights(folder: Path) -> Path:
    """A checkpoint whose one tensor is half a gigabyte of zeros, packed."""
    path = saved(folder / "packed.pt", hostile.checkpoint())
    with zipfile.ZipFile(path) as archive:
        others = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    record = next(name for name in others if name.endswith("/data/0"))
    others.pop(record)
    return hostile.zeros(path, record, BIG, others)


def one_record_many_times(folder: Path) -> Path:
    """Entries of an archive that are all the same bytes."""
    path = saved(folder / "overlapping.pt", {"weight": torch.zeros(1 << 18)})  # 1 MiB
    data = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        start, entries = archive.start_dir, archive.infolist()
    end = data.rindex(b"PK\x05\x06")
    (entry,) = (one for one in data[start:end].split(b"PK\x01\x02") if b"/data/0" in one)
    more = [entry.replace(b"/data/0", f"/data/{letter}".encode()) for letter in map(chr, range(65, 91))]
    directory = data[start:end] + b"".join(b"PK\x01\x02" + one for one in more)
    tail = bytearray(data[end:])
    struct.pack_into("<HHII", tail, 8, *[len(entries) + len(more)] * 2, len(directory), start)
    path.write_bytes(data[:start] + directory + bytes(tail))
    return path


def made_by_size(function: Callable[..., Any], name: str) -> Callable[[Path], Path]:
    return lambda folder: saved(folder / f"{name}.pt", hostile.checkpoint(epoch=hostile.Call(function, BIG)))


def expanded(folder: Path) -> Path:
    return saved(folder / "expanded.pt", hostile.checkpoint(state_dict={"w": torch.zeros(1).expand(1 << 20, 1 << 20)}))


def edited_tensor(folder: Path, name: str, edit: Callable[[bytes], bytes]) -> Path:
    return hostile.rewritten(saved(folder / f"{name}.pt", {"weight": torch.zeros(4)}), edit)


def a_large_storage(folder: Path) -> Path:
    """The file says that its four numbers are half a gigabyte."""
    old, new = b"cpuq\x06K\x04", b"cpuq\x06J" + struct.pack("<i", BIG // 4)
    return edited_tensor(folder, "storage", lambda data: data.replace(old, new))


def a_large_tensor(folder: Path) -> Path:
    old, new = b"K\x04\x85", b"J" + struct.pack("<i", BIG // 4) + b"\x85"
    return edited_tensor(folder, "tensor", lambda data: data.replace(old, new, 1))


def doubled(folder: Path) -> Path:
    return hostile.with_pickle(folder / "doubled.pt", hostile.doubled(60))


def doubled_keys(folder: Path) -> Path:
    return hostile.with_pickle(folder / "keys.pt", hostile.doubled(60, keys=True))


PICKLES: list[Callable[[Path], Path]] = [
    packed_weights,
    one_record_many_times,
    made_by_size(bytearray, "bytearray"),
    made_by_size(torch.Tensor, "Tensor"),
    made_by_size(torch.FloatTensor, "FloatTensor"),
    made_by_size(torch.UntypedStorage, "UntypedStorage"),
    made_by_size(np.zeros, "zeros"),
    expanded,
    a_large_storage,
    a_large_tensor,
    doubled_keys,
]


def folder_of(path: Path, header: object, data: bytes = b"", config: bytes | None = None) -> Path:
    """A folder with a file of safetensors, its header as given."""
    path.mkdir()
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (path / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    if config is not None:
        (path / "config.json").write_bytes(config)
    return path


def config(**changes: Any) -> str:
    content = {
        "format": "locenc",
        "format_version": 1,
        "position": {"name": "sphere2vec-sphereC"},
        "network": {"name": "ffn"},
        "dim": 8,
        "dtype": "float32",
    }
    return json.dumps({**content, **changes})


def holes(path: Path, size: int = 1 << 30) -> None:
    """A file of gigabytes that takes no place on the disk."""
    with open(path, "wb") as file:
        file.truncate(size)


ONE = {"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}


def folders(folder: Path) -> list[tuple[str, Path]]:
    """Encoders by `from_pretrained`, and by ``load_tte``."""
    sizes = {
        "dim": {"dim": 10**9},
        "scales": {"position": {"name": "sphere2vec-sphereC", "num_scales": 10**9}},
        "scales-below-the-cap": {"position": {"name": "sphere2vec-dfs", "num_scales": 2**24}},
        "degrees": {"position": {"name": "spherical-harmonics", "num_degrees": 2**24}},
        "sites": {"position": {"name": "spherical-voronoi", "num_sites": 2**24, "site_dim": 2**24}},
        "features": {"position": {"name": "rff", "num_features": 2**24}},
        "hidden": {"network": {"name": "ffn", "hidden_dim": 2**24, "num_hidden_layers": 2**24}},
    }
    made = [
        folder_of(folder / name, {"__metadata__": {"config": config(**change)}, **ONE}, bytes(4))
        for name, change in sizes.items()
    ]
    made.append(folder_of(folder / "shape", {"a": {"dtype": "F32", "shape": [BIG], "data_offsets": [0, 4 * BIG]}}))
    made.append(folder_of(folder / "overlap", {str(i): ONE["a"] for i in range(1000)}, bytes(4)))
    made.append(folder_of(folder / "deep-header", b"[" * 1_000_000))
    made.append(folder_of(folder / "deep-config", ONE, bytes(4), b"[" * 1_000_000))
    long = folder_of(folder / "long-header", b"{}")
    (long / "model.safetensors").write_bytes(struct.pack("<Q", 2**62) + b"{}")
    made.append(long)
    made.append(folder_of(folder / "holes-config", ONE, bytes(4), b""))
    holes(made[-1] / "config.json")
    empty = folder / "holes"
    empty.mkdir()
    holes(empty / "model.safetensors")
    (empty / "config.json").write_text("{}")
    made.append(empty)
    return [(reader, one) for one in made for reader in ("from_pretrained", "load_tte")]


def settings(folder: Path) -> list[tuple[str, Path]]:
    """Large files of settings beside weights, features and results."""
    weights = folder_of(folder / "foreign", ONE, bytes(4)) / "model.safetensors"
    holes(weights.with_name("model.params.json"))
    holes(weights.with_name("meta.json"))
    holes(weights.with_name("result.json"))
    return [("load_torchspatial", weights), ("open_features", weights.parent), ("load_finetuned", weights.parent)]


def tables(folder: Path) -> list[tuple[str, Path]]:
    """Sparse matrices and Parquet files."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(head, {"descr": "<f8", "fortran_order": False, "shape": (BIG // 8,)})
    hostile.zeros(folder / "packed.npz", "data.npy", BIG, {}, head.getvalue())
    shape, none = np.array([10**9, 3]), np.zeros(0, np.int32)
    parts = {"shape": shape, "data": none.astype(np.float32), "row": none, "col": none}
    np.savez(folder / "rows.npz", format=np.array("coo"), **parts)
    table = pa.table({"id": ["a"], "lon": [0.0], "lat": [0.0]})
    sizes = []
    for name, rows in (("many", 2**40), ("negative", -1)):
        path = folder / f"{name}.parquet"
        pq.write_table(table, path)
        data = path.read_bytes()
        pages, about = footer.parted(memoryview(data))
        about[footer.NUM_ROWS] = thrift.Value(thrift.I64, rows)
        path.write_bytes(b"PAR1" + bytes(pages) + footer.footer(about, rows, []))
        sizes.append(path)
    same = pa.array(np.zeros(8_000_000))
    pq.write_table(pa.table({"id": same.cast(pa.int64()), "lon": same, "lat": same}), folder / "same.parquet")
    sizes.append(folder / "same.parquet")
    cut = folder / "length.parquet"
    cut.write_bytes(b"PAR1" + bytes(100) + struct.pack("<I", 2**32 - 1) + b"PAR1")
    sizes.append(cut)
    matrices = [("read_sparse", folder / name) for name in ("packed.npz", "rows.npz")]
    return matrices + [(reader, path) for path in sizes for reader in ("read_table", "embed_parquet")]


class Outcome(NamedTuple):
    reader: str
    file: Path
    outcome: str


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Outcome], float]:
    """What became of all of them in one process, and by how many MiB its peak grew."""
    folder = tmp_path_factory.mktemp("bombs")
    cases = [(reader, make(folder)) for make in PICKLES for reader in hostile.PICKLES]
    cases += [("load_torchspatial", doubled(folder)), *folders(folder), *settings(folder), *tables(folder)]
    (folder / "cases.json").write_text(json.dumps([(reader, str(path)) for reader, path in cases]))
    arguments = [folder / "cases.json", folder / "growth", Path(hostile.__file__).parent]
    done = subprocess.run(
        [sys.executable, "-c", READ, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        env={"PATH": "", "PYTHONPATH": str(Path(locenc.__file__).parent.parent), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr[-2000:] + done.stdout[-500:]
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(cases)
    return [Outcome(reader, Path(file), outcome) for reader, file, outcome, *_ in found], float(
        (folder / "growth").read_text()
    )


def test_the_files_are_small(measured: tuple[list[Outcome], float]) -> None:
    for one in measured[0]:
        for path in one.file.rglob("*") if one.file.is_dir() else [one.file]:
            assert path.stat().st_blocks * 512 < 4 << 20, path


def test_each_is_refused_by_name(measured: tuple[list[Outcome], float]) -> None:
    for one in measured[0]:
        if (one.reader, one.file.name) == ("embed_parquet", "same.parquet"):
            assert "columns of degrees, lon= and lat=" in one.outcome  # it has no geometry
        assert one.outcome.startswith(("ValueError: ", "FileNotFoundError: no ")), one
        assert str(one.file.with_suffix("")) in one.outcome, one


def test_memory_is_bounded(measured: tuple[list[Outcome], float]) -> None:
    assert measured[1] < GROWTH
