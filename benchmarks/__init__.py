"""Speed and error of the library beside its peers: ``python -m benchmarks.encoders`` and the like.

Each command installs nothing, says which peers are present, first checks that the results it times are right, times its
cases in turn within one process, and prints Markdown tables with the machine and the versions. ``--save`` keeps them,
with every number, in ``docs/benchmarks``.
"""
