"""A few of the endings of ``endings.py``: of the kinds that leave processes behind if they can."""
from __future__ import annotations

import pytest
from endings import SECONDS, Case, cases, run

CASES = [('middle: bad file', 3, 1), ('middle: killed worker', 1, 1), ('middle: killed rank', 1, 2)]


@pytest.mark.parametrize('kind, workers, ranks', CASES, ids=[kind for kind, *_ in CASES])
def test_a_failing_training_ends(streets, tmp_path, kind, workers, ranks):
    """Within SECONDS of its line, with exit code 1, and none of its processes is left."""
    case = Case(kind, workers, ranks, 0, streets, ('data.train.rare_class_sampling.min_pixels=5',))
    good, row = run(case, tmp_path)
    assert good, row
    assert 'error: ' in row


def test_half_of_the_cases_fail_at_the_start(tmp_path):
    found = cases(40, 0, tmp_path)
    assert sum(case.kind.startswith('start') for case in found) == 20
    assert {case.workers for case in found} == {0, 1, 3} and {case.ranks for case in found} == {1, 2}
    assert SECONDS == 15
