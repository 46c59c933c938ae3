"""Residuals of a lead member: what their histogram says, their tail, and how far the spread counts in it."""

from __future__ import annotations

import numpy as np
import pytest

from forecasting.residual_histogram import (
    BLOCKS,
    CELLS,
    PRIOR_DEVIATION,
    add_residual,
    empirical_quantiles,
    fill_blocks,
    prior_histogram,
)
from forecasting.tempered_residuals import (
    TAIL_LEVEL,
    blocks_of,
    count_residual,
    prior_record,
    residual_quantiles,
    tempered,
)


def smooth_quantiles(record, levels, out) -> None:
    residual_quantiles(record, filled_blocks(record), levels, 1.0, out)


def filled_blocks(histogram) -> np.ndarray:
    blocks = np.empty((BLOCKS, 2))
    fill_blocks(histogram, blocks)
    return blocks


def quantiles_of(residuals, levels, quantiles=smooth_quantiles) -> np.ndarray:
    """What `quantiles` says after the residuals, which outweigh the prior."""
    record, out = prior_record(), np.empty(len(levels))
    record[:CELLS] *= 1e-9
    for value in residuals:
        add_residual(record, value, 1.0)
    quantiles(record, np.array(levels), out)
    return out


def test_empirical_quantiles_are_those_of_the_residuals():
    z = np.random.default_rng(0).standard_t(3, 20_000)
    levels = [0.001, 0.05, 0.5, 0.9, 0.95, 0.999]
    said = quantiles_of(z, levels, empirical_quantiles)
    np.testing.assert_allclose(said, np.quantile(z, levels), rtol=0.05, atol=0.03)


def test_the_tail_is_empirical_up_to_its_level_and_exponential_above():
    z = np.random.default_rng(0).standard_t(3, 20_000)
    up_to, above = [0.001, 0.05, 0.5, TAIL_LEVEL], np.array([0.95, 0.99, 0.999, 0.9999])
    said = quantiles_of(z, [*up_to, *above])
    np.testing.assert_array_equal(said[:4], quantiles_of(z, up_to, empirical_quantiles))
    threshold = np.quantile(z, TAIL_LEVEL)
    mean_excess = (z[z > threshold] - threshold).mean()
    expected = threshold + mean_excess * np.log((1 - TAIL_LEVEL) / (1 - above))
    np.testing.assert_allclose(said[4:], expected, rtol=0.02)


def test_the_tail_of_exponential_residuals_is_theirs_at_levels_never_seen():
    # Of 3,000 residuals the largest says what happens once in 3,000; the mean excess says it of once in 10,000 too.
    z = -2.0 * np.log(1 - (np.arange(3000) + 0.5) / 3000)
    levels = np.array([0.95, 0.99, 0.999, 0.9999])
    np.testing.assert_allclose(quantiles_of(z, levels), -2.0 * np.log(1 - levels), rtol=0.01)


@pytest.mark.parametrize("residuals", [[], [0.3] * 50, [1e9] * 50, [-1e9] * 50, np.linspace(-2.0, 1e3, 99) ** 3])
@pytest.mark.parametrize("quantiles", [smooth_quantiles, empirical_quantiles])
def test_quantiles_never_fall_with_the_level(residuals, quantiles):
    said = quantiles_of(residuals, np.r_[np.linspace(0.001, 0.999, 333), 0.9999], quantiles)
    assert np.isfinite(said).all()
    assert (np.diff(said) >= -1e-9).all()


def test_the_prior_is_a_normal():
    out = np.empty(3)
    empirical_quantiles(prior_histogram(), np.array([0.05, 0.5, 0.95]), out)
    np.testing.assert_allclose(out, PRIOR_DEVIATION * np.array([-1.645, 0.0, 1.645]), atol=0.03)


def test_growing_weights_forget_and_never_overflow():
    histogram, out = prior_record(), np.empty(1)
    for value, times in ((-5.0, 3000), (5.0, 3000)):
        for _ in range(times):
            add_residual(histogram, value, 1.5)
    smooth_quantiles(histogram, np.array([0.01]), out)
    assert np.isfinite(histogram).all()
    assert out[0] == pytest.approx(5.0, rel=0.05)


def test_residuals_beyond_the_table_count_at_its_ends():
    histogram = prior_histogram()
    add_residual(histogram, 1e9, 1.0)
    add_residual(histogram, -1e9, 1.0)
    assert min(histogram[0], histogram[CELLS - 1]) >= 1.0


def test_block_sums_follow_each_residual_to_the_bit():
    record = prior_record()
    blocks = filled_blocks(record)
    for residual in np.random.default_rng(0).standard_t(2, 300) * 5.0:
        # So fast a growth folds the weights back on the way.
        count_residual(record, blocks, residual, 1.0, 7.0)
        np.testing.assert_array_equal(blocks, filled_blocks(record))
    assert record[CELLS] < 7.0**300


def counted(power: float, *, spread_power: float = 1.0, bins: int = 6_000, growth: float = 1.0):
    """A record after residuals whose true spread is `power` of what was said, and the steps that they asked for."""
    rng = np.random.default_rng(0)
    said = np.exp(rng.normal(-2.0, 0.7, bins))
    residuals = rng.exponential(1.0, bins) * np.exp(-2.0) * (said / np.exp(-2.0)) ** power
    record = prior_record()
    blocks = filled_blocks(record)
    steps = [count_residual(record, blocks, r, s**spread_power, growth) for r, s in zip(residuals, said, strict=True)]
    return record, np.array(steps)


@pytest.mark.parametrize(
    ("true", "found"), [(0.0, (0.0, 0.2)), (0.5, (0.35, 0.65)), (1.0, (0.85, 1.15)), (2.0, (1.4, 1.5))]
)
def test_a_spread_counts_for_as_much_as_the_tail_goes_by_it(true, found):
    record, _ = counted(true)
    wide, narrow = tempered(record, np.exp(-1.0)), tempered(record, np.exp(-3.0))
    assert found[0] <= np.log(wide / narrow) / 2.0 <= found[1]


def test_a_spread_that_never_differs_is_taken_at_its_word():
    record, _ = counted(1.0, spread_power=0.0)
    assert tempered(record, 1.0) == pytest.approx(1.0)
    assert prior_record()[CELLS] == 1.0
    assert tempered(prior_record(), 0.3) == pytest.approx(0.3)


def test_weights_that_are_folded_back_change_neither_spread_nor_power():
    # 2 ** (1 / 3) passes 1e200 after 2,000 residuals; the memory is of three residuals either way.
    record, _ = counted(0.5, growth=2.0 ** (1.0 / 3.0))
    assert np.isfinite(record).all()
    assert record[CELLS] < 1e201
    usual = tempered(record, np.exp(-2.0))
    assert 0.01 < usual < 1.0


def test_a_residual_says_how_far_the_spread_was_off():
    steps = counted(1.0)[1][1_000:]
    assert abs(steps.mean()) < 0.05
    record, _ = counted(1.0)
    blocks = filled_blocks(record)

    def step(spreads: float) -> float:
        return count_residual(record.copy(), blocks.copy(), spreads * np.exp(-2.0), np.exp(-2.0), 1.0)

    assert step(0.0) == step(2.0) < 0.0 < step(4.0) < step(5.0)
    # One spike is one spike.
    assert step(99.0) == step(1e9)


def test_quantiles_go_with_the_spread_as_far_as_it_counts():
    record, _ = counted(0.5)
    levels, usual, wide = np.array([0.05, 0.5, 0.95, 0.999]), np.empty(4), np.empty(4)
    residual_quantiles(record, filled_blocks(record), levels, np.exp(-2.0), usual)
    residual_quantiles(record, filled_blocks(record), levels, np.exp(-1.0), wide)
    np.testing.assert_allclose(wide / usual, tempered(record, np.exp(-1.0)) / tempered(record, np.exp(-2.0)))
    np.testing.assert_allclose(usual[1:], -np.exp(-2.0) * np.log(1 - levels[1:]), rtol=0.1)


def test_block_sums_are_made_for_each_record():
    records = np.vstack([prior_record(), counted(1.0, bins=50)[0]])
    np.testing.assert_array_equal(blocks_of(records), [filled_blocks(record) for record in records])
