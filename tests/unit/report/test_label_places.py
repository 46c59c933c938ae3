"""Labels beside points: none over another, and none outside."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from autoscaler.report.label_places import Box, label_places

INSIDE = Box(0.0, 300.0, 0.0, 300.0)


def test_labels_of_one_point_lie_beside_each_other() -> None:
    places = label_places([(20.0, 150.0)] * 9, [40.0 + 8.0 * at for at in range(9)], INSIDE)
    for one, other in combinations(places, 2):
        assert one.box.common(other.box) == 0.0
    assert all(INSIDE.holds(place.box) for place in places)


def test_a_label_is_beside_its_point_and_one_that_is_not_has_a_line_to_it() -> None:
    places = label_places([(150.0, 150.0)] * 12, [60.0] * 12, INSIDE)
    assert places[0].leader is None
    assert places[0].x == 159.0
    far = [place for place in places if place.leader is not None]
    assert far
    for place in far:
        assert place.leader == place.box.nearest(150.0, 150.0)


def test_a_label_at_an_edge_goes_to_the_other_side() -> None:
    (right,) = label_places([(295.0, 150.0)], [60.0], INSIDE)
    assert right.x + 60.0 < 295.0
    (top,) = label_places([(150.0, 300.0)], [60.0], INSIDE)
    assert INSIDE.holds(top.box)


def test_where_nothing_is_free_the_place_that_hides_least_is_taken() -> None:
    tight = Box(0.0, 80.0, 0.0, 40.0)
    places = label_places([(10.0, 20.0)] * 4, [60.0] * 4, tight)
    assert all(tight.holds(place.box) for place in places)
    assert len({place.y for place in places}) == 3  # as many lines as fit; the fourth label shares one of them


def test_a_label_wider_than_the_chart_still_has_a_place() -> None:
    (place,) = label_places([(10.0, 20.0)], [600.0], INSIDE)
    assert place.x == 19.0


def test_random_points_keep_their_labels_apart() -> None:
    rng = np.random.default_rng(4)
    points = [(float(x), float(y)) for x, y in rng.uniform(20.0, 280.0, (14, 2))]
    places = label_places(points, [55.0] * 14, INSIDE)
    for one, other in combinations(places, 2):
        assert one.box.common(other.box) == 0.0
