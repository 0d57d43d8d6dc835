"""A line of the log tells of the steps since the line before, also of values that few steps have."""
from __future__ import annotations

import torch

from mmseg.engine.log_buffer import TensorLogBuffer


def steps(buffer: TensorLogBuffer, first: int, last: int, every: int) -> None:
    """As the runner makes them: a time, the losses, and every so many steps a value that costs much."""
    for step in range(first, last + 1):
        buffer.update(dict(data_time=0.5))
        buffer.update(dict(loss=torch.tensor(float(step))), 2)
        if step % every == 0:
            buffer.update(dict(rare=torch.tensor(10.0 * step)))


def line(buffer: TensorLogBuffer, n: int) -> dict:
    buffer.average(n)
    written = dict(buffer.output)
    buffer.clear_output()
    return written


def test_a_value_of_few_steps_is_not_mixed_with_those_of_lines_before():
    buffer = TensorLogBuffer()
    for start in (1, 11, 21):
        steps(buffer, start, start + 9, 5)
        assert line(buffer, 10) == dict(data_time=0.5, loss=start + 4.5, rare=10 * (start + 6.5))


def test_a_value_that_no_step_of_the_line_has_is_not_in_it():
    buffer = TensorLogBuffer()
    steps(buffer, 1, 10, 10)
    assert line(buffer, 5) == dict(data_time=0.5, loss=8.0, rare=100.0)
    steps(buffer, 11, 15, 10)
    assert line(buffer, 5) == dict(data_time=0.5, loss=13.0)


def test_loggers_may_have_intervals_of_their_own():
    buffer = TensorLogBuffer()
    steps(buffer, 1, 12, 3)
    for n, rare in ((3, 120.0), (6, 105.0), (20, 75.0), (0, 75.0)):
        buffer.average(n)
        assert buffer.output['rare'] == rare
    buffer.clear()
    steps(buffer, 1, 3, 3)
    assert line(buffer, 3) == dict(data_time=0.5, loss=2.0, rare=30.0)
