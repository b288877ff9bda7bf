"""One encoder in many threads and processes: the same bytes, no hang, and as many threads at work as torch may use."""

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from points import globe
from torch import Tensor

import locenc

ROOT = Path(__file__).resolve().parent.parent.parent
ENCODERS = {
    "sphere2vec-sphereC": {"num_scales": 8},
    "spherical-harmonics": {"num_degrees": 6},
    "rbf": {"anchors": globe(20), "kernel_size": 20.0},
    "spherical-voronoi": {"num_sites": 16},
}
PATIENCE = 120  # seconds until a hang is called one


def run(code: str, folder: Path, *arguments: str) -> str:
    """What a program prints, in a process of its own that must end."""
    (folder / "program.py").write_text(code)
    done = subprocess.run(
        [sys.executable, folder / "program.py", *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("name", ENCODERS)
def test_eight_threads_share_one_encoder(name: str, backend: str) -> None:
    encoder = locenc.create(name, dim=16, **ENCODERS[name]).eval()
    lonlat, together = globe(1000), threading.Barrier(8)

    def features() -> Tensor:
        with torch.no_grad(), locenc.backend(backend):
            return encoder(lonlat)

    expected = features()

    def work(_: int) -> bool:
        together.wait(PATIENCE)
        return all(torch.equal(features(), expected) for _ in range(2))

    with ThreadPoolExecutor(8) as callers:
        assert all(callers.map(work, range(8)))


FIRST = """
import threading
from concurrent.futures import ThreadPoolExecutor
import numpy as np
import torch
torch.set_num_threads(2)
together = threading.Barrier(8)

def work(number):
    together.wait()
    import locenc
    torch.manual_seed(0)
    encoder = locenc.position_encoder("sphere2vec-sphereM", num_scales=16)
    return locenc.embed(np.random.default_rng(0).uniform(-90, 90, (20_000, 2)), encoder).tobytes()

with ThreadPoolExecutor(8) as callers:
    print(len(set(callers.map(work, range(8)))))
"""


def test_the_first_use_by_eight_threads_at_once(tmp_path: Path) -> None:
    """Import, compilation and the pool's start are all raced for."""
    assert run(FIRST, tmp_path) == "1\n"


LOADER = """
import os, sys
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
import locenc

class Vectors(Dataset):
    def __init__(self, encoder, lonlat):
        self.encoder, self.lonlat = encoder, lonlat

    def __len__(self):
        return 4

    def __getitem__(self, index):
        part = self.lonlat[index::4]
        with torch.no_grad():
            return locenc.embed(part, self.encoder), self.encoder(torch.from_numpy(part)).numpy(), os.getpid()

if __name__ == "__main__":
    torch.set_num_threads(2)
    torch.manual_seed(0)
    encoder = locenc.create("sphere2vec-sphereC", dim=64, num_scales=16, network="residual")
    lonlat = np.random.default_rng(0).uniform(-90, 90, (80_000, 2))
    encoder(torch.from_numpy(lonlat)).square().mean().backward()  # torch's own threads and ours have begun
    encoder.eval()
    vectors = Vectors(encoder, lonlat)
    expected = [vectors[index] for index in range(4)]
    for method in sys.argv[1:]:
        loader = DataLoader(
            vectors, batch_size=None, multiprocessing_context=method, persistent_workers=True,
            collate_fn=None, num_workers=2 if method == "fork" else 1,
        )
        for _ in range(2):
            for (embedded, called, process), (first, second, own) in zip(loader, expected):
                assert process != own
                assert np.array_equal(embedded, first)
                assert np.allclose(called, second, atol=1e-6)
        assert np.array_equal(vectors[0][0], expected[0][0])
        print(method)
"""


def test_loaders_after_training_in_the_parent(tmp_path: Path) -> None:
    assert run(LOADER, tmp_path, "fork", "spawn") == "fork\nspawn\n"


BUSY = """
import os, sys, time
import numpy as np
import torch
import locenc

def spent():
    found = {}
    for task in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{task}/stat") as file:
                user, system = file.read().rpartition(")")[2].split()[11:13]
        except OSError:  # a thread that has ended since
            continue
        found[task] = int(user) + int(system)
    return found

encoder = locenc.create("sphere2vec-sphereC", dim=64, num_scales=32, network="residual").eval()
lonlat = np.random.default_rng(0).uniform(-90, 90, (100_000, 2))
points = torch.from_numpy(lonlat)
for threads in (1, 3):
    torch.set_num_threads(threads)
    for call in (
        lambda: encoder.position(points),
        lambda: locenc.embed(lonlat, encoder),
        lambda: encoder(points[:20_000]).square().mean().backward(),
    ):
        call()  # compiles
        before = spent()
        while sum(spent().values()) - sum(before.values()) < 50:  # ticks of a hundredth of a second
            call()
        used = sorted((count - before.get(task, 0) for task, count in spent().items()), reverse=True)
        print(threads, sum(used[1:threads]), sum(used[threads:]))
"""


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads as Linux shows them")
def test_no_more_threads_are_busy_than_torch_may_use(tmp_path: Path) -> None:
    """Processor time of each thread, in ticks: of 50, beyond the first and beyond as many as there may be."""
    lines = run(BUSY, tmp_path).splitlines()
    assert len(lines) == 6
    for line in lines:
        threads, helping, beyond = map(int, line.split())
        assert (helping >= 8) == (threads > 1), line
        assert beyond < 5, line
