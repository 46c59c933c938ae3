"""The same time yesterday or last week, where there is none: no row of its own beside the HPA that it repeats."""

import io
from dataclasses import replace

import numpy as np
import pytest
from report_results import make_result
from rich.console import Console

from autoscaler.report.page import html_page
from autoscaler.report.repeats import repeats_told
from autoscaler.report.table import policy_table, to_json

NAME, TITLE = "same-time-last-week", "HPA and the same time last week"


def with_same_time(differs: int):
    """A result with one more policy, that wants a replica more than the HPA in its last `differs` bins."""
    result = make_result()
    hpa = next(row for row in result.policies if row.name == "hpa")
    more = (np.arange(len(result.setting)) >= len(result.setting) - differs).astype(np.int64)
    outcome = replace(hpa.outcome, desired=hpa.outcome.desired + more)
    return replace(result, policies=(*result.policies, replace(hpa, name=NAME, title=TITLE, outcome=outcome)))


@pytest.mark.parametrize("differs", [0, 1])
def test_it_is_shown_where_it_differs_from_the_hpa_and_else_named_below_the_table(differs):
    result = with_same_time(differs)
    out = io.StringIO()
    Console(file=out, width=160).print(policy_table(result))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    told = f"left out, with the HPA's replicas in every bin, as where no such time before is known: {TITLE}"
    assert repeats_told(result) == ("" if differs else told)
    assert [line.startswith(TITLE) for line in lines].count(True) == differs
    assert (told in lines) == (not differs)
    page = html_page(result)
    assert (f"<code>{NAME}</code>" in page) == bool(differs)
    assert (f"L{told[1:]}." in page.replace("&#x27;", "'")) == (not differs)
    assert NAME in to_json(result)["policies"]
