"""Features of more than 2^31 numbers: the last rows are as right as the first. Takes 9 GB of memory, or of disk.

    python scripts/check_large_output.py [--file PATH]

With a file the result is a memory map, and memory stays small.
"""

import argparse
import resource
import sys

import numpy as np
import torch

import locenc


def main() -> None:
    """Make the features, compare some rows of all parts with those of a small batch."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--file", help="where to put the result, as a memory map")
    options = parser.parse_args()

    encoder = locenc.position_encoder("sphere2vec-sphereC", num_scales=64)
    count = 2**31 // encoder.out_dim + 1000
    lonlat = torch.rand(count, 2, generator=torch.Generator().manual_seed(0)) * 180 - 90
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    out = None
    if options.file:
        shape = (count, encoder.out_dim)
        out = torch.from_numpy(np.lib.format.open_memmap(options.file, "w+", np.float32, shape))
    features = encoder(lonlat, out=out)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    rows = torch.cat([torch.arange(start, start + 100) for start in range(0, count - 100, count // 50)])
    rows = torch.cat([rows, torch.arange(count - 2000, count)])
    same = torch.equal(features[rows], encoder(lonlat[rows]))
    print(
        f"{features.numel():,} features ({features.numel() * 4 / 1e9:.2f} GB), {features.numel() - 2**31:,} beyond 2^31"
    )
    print(f"resident memory grew by {(after - before) / 1e6:.2f} GB")
    print(f"{len(rows):,} rows from all parts equal those of a small batch: {same}")
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
