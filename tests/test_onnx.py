"""Every encoder exports to ONNX and gives the same numbers in onnxruntime, without our package."""

import inspect
import io
import warnings

import onnxruntime
import pytest
import torch

import locenc
from locenc import registry

SMALL = {"num_scales": 6, "num_features": 8, "num_degrees": 6, "num_anchors": 5, "num_sites": 12, "num_tokens": 3}

POINTS = torch.tensor(
    [[2.35, 48.86], [-77.04, -12.05], [180.0, 0.0], [-180.0, 0.0], [540.0, 10.0], [13.4, 90.0], [0.0, -90.0]],
    dtype=torch.float64,
)


@pytest.mark.parametrize("name", locenc.list_encoders())
def test_onnx(name: str) -> None:
    options = inspect.signature(registry._ENTRIES[name].build).parameters
    encoder = locenc.create(name, dim=5, **{key: value for key, value in SMALL.items() if key in options}).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations
        program = torch.onnx.export(
            encoder,
            (POINTS[:3],),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim("n", min=1)},),
            verbose=False,
        )
    file = io.BytesIO()
    program.save(file)
    session = onnxruntime.InferenceSession(file.getvalue())
    (found,) = session.run(None, {session.get_inputs()[0].name: POINTS.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), encoder(POINTS).detach(), atol=1e-5, rtol=1e-5)
