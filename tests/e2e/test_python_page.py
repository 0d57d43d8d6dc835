"""The code of docs/python.md, as it stands there."""
from __future__ import annotations

import math
import re

from programs import ROOT

BLOCKS = re.findall(r'```python\n(.*?)```', (ROOT / 'docs/python.md').read_text(encoding='utf-8'), re.DOTALL)
# as many steps, and so few pixels in a scene of the tests
SMALL = {'steps = 10': 'steps = 2', '{': "{'data.train.rare_class_sampling.min_pixels': 5, "}


def test_the_code_of_the_page_runs(streets, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'data').mkdir()
    for name, target in (('configs', ROOT / 'configs'), ('demo', ROOT / 'demo'), ('data/streets', streets)):
        (tmp_path / name).symlink_to(target)
    predicting, pictures, training = BLOCKS
    for there, here in SMALL.items():
        assert training.count(there) == 1
        training = training.replace(there, here)
    names: dict = {}
    for number, block in enumerate((predicting, pictures, training)):
        exec(compile(block, f'docs/python.md, block {number}', 'exec'), names)
    assert names['half'].classes.shape == (512, 512) and names['road'].shape == (512, 1024)
    assert (tmp_path / 'overlay.png').is_file()
    losses = [float(line) for line in capsys.readouterr().out.split()]
    assert len(losses) == 2 and all(math.isfinite(loss) for loss in losses)
    before, after = (names[name].network.state_dict() for name in ('model', 'adapted'))
    weight = 'decode_head.conv_seg.weight'
    assert not before[weight].equal(after[weight]) and before[weight].allclose(after[weight], atol=0.05)
