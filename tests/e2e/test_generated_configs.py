"""What the tables of experiments ask for can be built."""
from __future__ import annotations

import json

from mmcv import Config
from on_meta import on_meta, shorten_known_encoder

from experiments import generate_experiment_cfgs, list_experiments, resolve
from mmseg.models.builder import build_train_model


def distinct_models() -> list[Config]:
    """Resolved configs with each network under each kind of method, and with each setting of a method, of all
    experiments; what they train on and how is no part of either."""
    cfgs = [cfg for table, _, _ in list_experiments() for cfg in generate_experiment_cfgs(table)]
    written = {json.dumps([sorted(file for file in cfg['_base_'] if '/schedules/' not in file),
                           cfg.get('model'), cfg.get('uda')], sort_keys=True): cfg for cfg in cfgs}
    seen, distinct = set(), []
    for cfg in (Config(resolve(cfg)) for cfg in written.values()):
        uda = cfg.get('uda') or {}
        kinds = {json.dumps([cfg.model, uda.get('type')], sort_keys=True), json.dumps(uda, sort_keys=True)}
        if not kinds <= seen:
            distinct.append(cfg)
        seen |= kinds
    return distinct


def test_every_generated_config_builds():
    known: set[str] = set()
    for cfg in distinct_models():
        cfg.model.pretrained = None
        shorten_known_encoder(cfg.model.backbone, known)
        with on_meta():
            model = build_train_model(cfg)
        uda = cfg.get('uda') or {}
        has_teacher = (uda.get('type') in ('DACS', 'ProDA') and not uda.get('source_only')
                       or uda.get('type') in ('AdvSeg', 'MinEnt') and 'masked' in uda)
        assert ('ema_model.backbone' in ' '.join(model.state_dict())) == has_teacher
