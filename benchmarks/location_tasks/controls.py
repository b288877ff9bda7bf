"""What any encoder must beat: a constant, and the nearest training place on the sphere."""

import time

import numpy as np

from benchmarks.location_tasks.candidates import CONTROLS
from benchmarks.location_tasks.tasks import World
from benchmarks.location_tasks.training import Score, r_squared
from locenc_csp.search import nearest_neighbour


def score_control(name: str, world: World, split: str, task_name: str) -> Score:
    """Score one of `CONTROLS`."""
    start = time.process_time()
    lonlat, rows, task = world.places.lonlat, world.rows(split), world.task(task_name)
    known = task.values[rows.train]
    if name == CONTROLS[0]:
        constant = np.bincount(known).argmax() if task.num_classes else known.mean()
        predicted = np.full(len(rows.test), constant)
    else:
        nearest = nearest_neighbour(lonlat[rows.train], np.arange(len(rows.train)), lonlat[rows.test])
        predicted = known[nearest]
    truth = task.values[rows.test]
    value = float((predicted == truth).mean()) if task.num_classes else r_squared(predicted, truth)
    return Score(value, time.process_time() - start)
