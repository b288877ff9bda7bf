"""What torch and the choice of a backend keep for each thread: taken along into the threads of our pool."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

import torch

from locenc.kernels.choice import backend, forced


def carried() -> Callable[[], AbstractContextManager[None]]:
    """Note the calling thread's grad mode, inference mode, autocast of the CPU and backend.

    Returns
    -------
    callable
        Makes a context in which they hold, for another thread.
    """
    grad, inference = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
    autocast = torch.is_autocast_enabled("cpu")
    dtype, cached = torch.get_autocast_dtype("cpu"), torch.is_autocast_cache_enabled()
    name = forced()

    @contextmanager
    def within() -> Iterator[None]:
        with ExitStack() as stack:
            if inference:
                stack.enter_context(torch.inference_mode())
            stack.enter_context(torch.set_grad_enabled(grad))
            if autocast:
                stack.enter_context(torch.autocast("cpu", dtype=dtype, cache_enabled=cached))
            if name is not None:
                stack.enter_context(backend(name))
            yield

    return within
