"""A grid of steps that grows by halves: what is learned at few steps ahead serves all those in between.

How wrong a forecast is changes with the logarithm of the step: much from 1 to 2, little from 101 to 102. So 1,440
steps, a day of minutes, need 21 grid points.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from forecasting.errors import ModelError
from forecasting.kernel import kernel
from forecasting.protocol import check_steps
from forecasting.series import FloatArray

IntArray = npt.NDArray[np.int64]


def step_grid(steps_max: int, *, per_octave: int = 2) -> IntArray:
    """Steps 1, 2, 3, 4, 6, 8, 12, 16, 24, ... and `steps_max`, which is last; with one per octave 1, 2, 4, 8, ..."""
    check_steps(steps_max)
    if per_octave not in {1, 2}:
        raise ModelError(f"per_octave must be 1 or 2, got {per_octave}")
    octaves = [1 << k for k in range(steps_max.bit_length())]
    halves = [3 * octave // 2 for octave in octaves if octave > 1] if per_octave == 2 else []
    return np.unique([step for step in [*octaves, *halves] if step < steps_max] + [steps_max]).astype(np.int64)


@kernel()
def at_grid(forecast: FloatArray, grid: IntArray, out: FloatArray) -> None:
    """Fill `out`, shape (k, 2), with the forecast (steps,) at each step of the grid (k,) and the largest until then."""
    largest = forecast[0]
    done = 0
    for i in range(len(grid)):
        for step in range(done, grid[i]):
            largest = max(largest, forecast[step])
        done = grid[i]
        out[i, 0] = forecast[grid[i] - 1]
        out[i, 1] = largest


def interpolate_steps(grid: IntArray, at_grid: FloatArray, steps: int) -> FloatArray:
    """Values at steps 1..steps, shape (steps, ...), from those at the grid (k, ...), linear in the log of the step.

    Beyond the grid's last step its values hold.
    """
    asked = np.log(np.arange(1, steps + 1))
    known = np.log(grid)
    right = np.clip(np.searchsorted(known, asked), 1, max(1, len(grid) - 1))
    left = right - 1
    right = np.minimum(right, len(grid) - 1)
    width = np.where(right > left, known[right] - known[left], 1.0)
    share = np.clip((asked - known[left]) / width, 0.0, 1.0).reshape(-1, *(1,) * (at_grid.ndim - 1))
    return (1.0 - share) * at_grid[left] + share * at_grid[right]
