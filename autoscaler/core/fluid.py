"""The fluid queue: one bin of arrivals served at a constant rate.

The same arithmetic measures lateness in the simulated cluster, in the self-backtest that picks the risk,
and live. Work is in replica-seconds: what one replica does in a second. Arrivals are uniform within a bin.
"""

from __future__ import annotations

from forecasting.kernel import kernel


@kernel()
def serve_bin(
    backlog_rs: float, arrivals_rs: float, ready: float, bin_s: float, max_wait_s: float
) -> tuple[float, float]:
    """Serve one bin and return (backlog at its end, late work), both in replica-seconds.

    Late is the work that on arrival finds more than `max_wait_s` seconds queued at the ready capacity of that
    moment: backlog > ready * max_wait_s. With no ready replica all arrivals are late. Nobody gives up waiting.

    Args:
        backlog_rs: work queued when the bin starts.
        arrivals_rs: work that arrives during the bin, uniformly.
        ready: replicas that serve during the whole bin.
        bin_s: width of the bin.
        max_wait_s: the longest wait that is not late.
    """
    if ready <= 0.0:
        return backlog_rs + arrivals_rs, arrivals_rs
    growth = arrivals_rs / bin_s - ready
    limit_rs = ready * max_wait_s
    end_rs = max(0.0, backlog_rs + growth * bin_s)
    if growth > 0.0:
        late_s = bin_s - min(max((limit_rs - backlog_rs) / growth, 0.0), bin_s)
    elif backlog_rs <= limit_rs:
        late_s = 0.0
    elif growth == 0.0:
        late_s = bin_s
    else:
        late_s = min((backlog_rs - limit_rs) / -growth, bin_s)
    return end_rs, arrivals_rs * late_s / bin_s
