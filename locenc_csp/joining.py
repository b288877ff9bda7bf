"""How processes that torchrun started find one another, and how one that fails tells the others why."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from itertools import count
from typing import Any

import torch
from torch import distributed
from torch.distributed.rendezvous import rendezvous

from locenc._devices import AUTO
from locenc_csp.processes import ALONE, Ranks

__all__ = ["end_if_several", "is_first", "joined"]

#: What torchrun says to each process that it starts.
SAID = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
FAILURE = "failure"
PATIENCE = timedelta(seconds=3)  # for a process that fails to say why
_runs = count()  # the same in all processes, which make the same runs


@contextmanager
def joined(device: str) -> Iterator[Ranks]:
    """Join the other processes of the same run, if there are any: those that torchrun started, or those of a group.

    With CUDA each process of a machine takes a device of its own, and they talk by nccl; on the CPU by gloo.

    Parameters
    ----------
    device : str
        What is to be computed on: ``"auto"``, ``"cpu"`` or ``"cuda"``.

    Yields
    ------
    Ranks
        `ALONE` in a process that nobody started with others. Where torch's default group is there already, its.

    Raises
    ------
    ValueError
        If the device is one for all, or there are fewer of them than processes.
    ConnectionAbortedError
        In the other processes, if one failed; says which, and why.
    """
    if distributed.is_available() and distributed.is_initialized():
        yield Ranks(distributed.get_rank(), distributed.get_world_size())
        return
    if not all(name in os.environ for name in SAID) or os.environ["WORLD_SIZE"] == "1":
        yield ALONE
        return
    ranks = Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))
    backend = _backend(device, int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"]))
    store = distributed.distributed_c10d.PrefixStore(f"locenc_csp/{next(_runs)}", _meeting_place())
    distributed.init_process_group(backend, store=store, rank=ranks.rank, world_size=ranks.size)
    try:
        yield ranks
    except ConnectionError as error:
        raise ConnectionAbortedError(_why(store) or str(error)) from error
    except Exception as error:
        store.set(FAILURE, f"process {ranks.rank} of {ranks.size} failed: {error}")
        raise
    finally:
        distributed.destroy_process_group()


@cache
def _meeting_place() -> Any:
    """Return the store that torchrun, or the first process, holds for all."""
    store, *_ = next(rendezvous("env://"))
    return store


def is_first() -> bool:
    """Say whether this process speaks for all that torchrun started; it does if it was started alone."""
    return os.environ.get("RANK", "0") == "0"


def end_if_several(code: int = 0) -> None:
    """End this process at once if it was started with others and all of its work is done, or has failed.

    The interpreter's own end is left out: under load it was seen to abort now and then, in threads of libraries
    ("terminate called without an active exception"), and torchrun ends all other processes when one of them fails.

    Parameters
    ----------
    code : int
        Exit status.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _backend(device: str, local_rank: int, local_size: int) -> str:
    """Choose how processes talk, and this process's CUDA device."""
    if device == "cpu" or (device == AUTO and not torch.cuda.is_available()):
        return "gloo"
    if device not in (AUTO, "cuda"):
        raise ValueError(
            f"device {device!r} would be that of all {local_size} processes: choose cpu, or cuda, which gives each its "
            "own (CUDA_VISIBLE_DEVICES says which there are)"
        )
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if found < local_size:
        raise ValueError(
            f"{local_size} processes were started on this machine, but torch finds {found} CUDA devices: start one for "
            "each (torchrun --nproc-per-node), or choose --device cpu"
        )
    torch.cuda.set_device(local_rank)
    return "nccl"


def _why(store: Any) -> str | None:
    """What the process that failed has said, if it could."""
    try:
        store.wait([FAILURE], PATIENCE)
        return str(store.get(FAILURE).decode())
    except RuntimeError:  # it was killed, or it held the store
        return None
