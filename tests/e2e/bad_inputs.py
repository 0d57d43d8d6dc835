"""Mistakes as data: (program, command line, parts of the line that has to name the culprit).

``{name}`` in a command line is one of the places of :func:`make_places`.
"""
from __future__ import annotations

from pathlib import Path

import torch
from programs import write_tiny

from mmseg.checkpoint.weights import save_checkpoint
from mmseg.models import build_segmentor
from mmseg.utils.config import load_config

NOTHING = 'nothing of use\n'
CONFIG_TEXTS = {
    'bad.json': '{"model": ', 'list.json': '[1, 2]', 'no_model.py': 'a = 1\n',
    'circle.py': '_base_ = ["circle.py"]\n', 'no_base.py': '_base_ = ["gone.py"]\n',
    'importer.py': 'import no_such_module\n', 'raiser.py': '1 / 0\n', 'cfg.ini': 'a=1\n',
    'twice.py': '_base_ = ["one.py", "two.py"]\n', 'one.py': 'a = 1\n', 'two.py': 'a = 2\n',
    'syntax.py': 'model = dict(\n', 'text.txt': NOTHING,
}


def make_places(folder: Path, streets: Path) -> dict[str, Path]:
    """Files of all kinds, good and bad, by the names that the tables use."""
    config = write_tiny(streets, folder / 'tiny.json')
    save_checkpoint(str(folder / 'weights.pth'), build_segmentor(load_config(config).model))
    for name, text in {**CONFIG_TEXTS, 'log.json': 'no json\nno\n', 'used.onnx': 'mine', 'used.png': 'mine',
                       'used.csv': 'mine', 'text.zip': NOTHING, 'video.mp4': NOTHING}.items():
        (folder / name).write_text(text)
    (folder / 'bytes.py').write_bytes(b'\xff\xfe\x00')
    (folder / 'empty.log.json').write_text('')
    (folder / 'zero.pth').write_bytes(b'')
    torch.save({'state_dict': {'x': torch.zeros(2)}}, folder / 'other.pth')
    torch.save({'state_dict': {'x': 'text'}}, folder / 'no_tensor.pth')
    torch.save([1, 2], folder / 'list.pth')
    torch.save(5, folder / 'number.pth')
    (folder / 'bad.safetensors').write_bytes(b'\x08' + bytes(7) + b'notjson!')
    (folder / 'empty').mkdir()
    image = min((streets / 'cityscapes' / 'leftImg8bit' / 'val').rglob('*.png'))
    (folder / 'bad.png').write_bytes(image.read_bytes()[:100])
    return dict(at=folder, config=config, weights=folder / 'weights.pth', empty=folder / 'empty', image=image,
                streets=streets, file=folder / 'text.txt')


# what the programs that read a config do with a bad one; CONFIG is replaced
CONFIG_PROGRAMS = {
    'tools.train': 'CONFIG', 'tools.test': 'CONFIG {weights}', 'tools.print_config': 'CONFIG',
    'tools.check_dataset': 'CONFIG', 'tools.get_param_count': 'CONFIG',
    'tools.export_onnx': 'CONFIG {weights} out.onnx', 'run_experiments': '--config CONFIG',
    'demo.image_demo': '{image} CONFIG {weights}',
    'tools.make_pseudo_labels': 'CONFIG {weights} --rule bdl --out out',
    'tools.translate': 'CONFIG {weights} --out out',
}
BAD_CONFIGS = [
    ('gone.py', 'does not exist'), ('{empty}', '{empty}'), ('{at}/bad.json', 'bad.json'),
    ('{at}/list.json', 'list.json'), ('{at}/no_base.py', 'no_base.py', 'gone.py'),
    ('{at}/importer.py', 'importer.py', 'no_such_module'), ('{at}/raiser.py', 'raiser.py', 'division'),
    ('{at}/cfg.ini', 'cfg.ini'), ('{at}/twice.py', 'twice.py', 'Duplicate'), ('{at}/syntax.py', 'syntax.py'),
    ('{at}/bytes.py', 'bytes.py'), ('{at}/text.txt', 'text.txt'),
]

CHECKPOINT_PROGRAMS = {
    'tools.test': '{config} CHECKPOINT', 'demo.image_demo': '{image} {config} CHECKPOINT',
    'tools.publish_model': 'CHECKPOINT out.pth',
    'tools.train': '{config} --no-validate --no-checks --load-from CHECKPOINT',
    'tools.translate': '{config} CHECKPOINT --out out --options uda.type=CycleGAN',
}
BAD_CHECKPOINTS = [
    ('gone.pth', 'does not exist'), ('{empty}', '{empty}'), ('{at}/text.txt', 'text.txt', 'damaged'),
    ('{at}/zero.pth', 'zero.pth', 'damaged'), ('{at}/no_tensor.pth', 'no_tensor.pth', 'no weights'),
    ('{at}/list.pth', 'list.pth', 'list'), ('{at}/number.pth', 'number.pth', 'int'),
    ('{at}/bad.safetensors', 'bad.safetensors'), ('{image}', '{image}'),
]

# (option of tools/train.py, parts)
OPTIONS = [
    ('runner=3', 'runner is 3', 'dict'), ('runner.max_iters=x', "runner.max_iters is 'x'"),
    ('runner.max_iters=0', 'runner.max_iters is 0'), ('runner.max_iters=-5', '-5'),
    ('runner.max_iters=2.5', '2.5'), ('runner.type=EpochBasedRunner', 'EpochBasedRunner', 'IterBasedRunner'),
    ('runner.max_epochs=3', 'max_epochs'), ('data=3', 'data is 3'), ('data.train=3', 'data.train is 3'),
    ('data.samples_per_gpu=0', 'data.samples_per_gpu is 0'), ('data.samples_per_gpu=two', "'two'"),
    ('data.workers_per_gpu=-1', 'data.workers_per_gpu is -1'), ('model=None', 'model is None'),
    ('model.backbone=3', 'backbone', '3'), ('model.decode_head=text', 'head', "'text'"),
    ('model.decode_head.channels=x', "DAFormerHead'"), ('model.decode_head.channels=-3', 'channels is -3'),
    ('model.decode_head.num_classes=-1', 'num_classes is -1'), ('model.decode_head.in_index=7', 'in_index'),
    ('model.decode_head.loss_decode.type=Nope', "'Nope'"), ('model.backbone.drop_path_rate=x', "mit_b0'"),
    ('model.pretrained=gone.pth', 'gone.pth'), ('uda=3', 'uda is 3'), ('uda.alpha=x', 'alpha', "'x'"),
    ('uda.mix=cut', "'cut'", 'class'), ('uda.imnet_feature_dist_lambda=0.1', 'imnet_feature_dist_lambda'),
    ('uda.entropy_balance.target=-1', '-1', 'entropies'),
    ('uda.entropy_balance.target=x', 'EntropyBalanceLoss'),
    ('uda.entropy_balance.target={"type":"Mean"}', 'Mean', 'RunningQuantile'),
    ('uda.entropy_balance.target={"type":"RunningQuantile","quantile":2}', 'quantile 2'),
    ('uda.imnet_feature_dist_classes=[1,2]', 'imnet_feature_dist_scale_min_ratio'),
    ('optimizer=SGD', "optimizer is 'SGD'"), ('optimizer.lr=x', 'optimizer', "'x'"),
    ('optimizer.lr=-1', 'optimizer', '-1'), ('optimizer.type=None', 'None'), ('optimizer.bets=[0,1]', 'bets'),
    ('optimizer.betas=[2,3]', 'beta'), ('optimizer.paramwise_cfg=3', 'paramwise_cfg'),
    ('optimizer_config=3', 'optimizer_config is 3'), ('optimizer_config={"grad_clip":5}', 'grad_clip is 5'),
    ('lr_config=poly', "lr_config is 'poly'"), ('lr_config.policy=None', 'policy'),
    ('lr_config.by_epoch=True', 'by_epoch'), ('lr_config.warmup=sideways', 'sideways'),
    ('lr_config.warmup_iters=-1', 'warmup_iters'), ('log_config.interval=0', 'log_config.interval is 0'),
    ('log_config.hooks=3', 'log_config.hooks is 3'), ('log_config.hooks=[{"type":"Nope"}]', "'Nope'"),
    ('checkpoint_config.interval=0', 'checkpoint_config.interval is 0'),
    ('checkpoint_config.max_keep_ckpts=all', "'all'"), ('checkpoint_config.by_epoch=True', 'by_epoch'),
    ('evaluation=yes', "evaluation is 'yes'"), ('evaluation.interval=often', "'often'"),
    ('custom_hooks=3', 'custom_hooks is 3'), ('custom_hooks=[{"type":3}]', '3'), ('seed=-1', 'seed is -1'),
    ('seed=4294967296', 'seed is 4294967296'), ('seed=x', "seed is 'x'"), ('n_gpus=0', 'n_gpus is 0'),
    ('name=a/b', "'a/b'"), ('work_dir=3', 'work_dir is 3'), ('load_from=3', 'load_from is 3'),
    ('workflow=[["train",1],["val",1]]', 'workflow'), ('log_level=LOUD', 'LOUD'),
    ('data.train.source.pipeline=3', "CityscapesDataset'"), ('data.train.source.split=gone.txt', 'gone.txt'),
    ('data.train.source.img_suffix=.webp', '.webp'), ('data.train.type=Nope', "'Nope'"),
    ('data.train.target.data_root=3', "ACDCDataset'"),
    ('data.train.source.ignore_index=x', 'ignore_index', "'x'"),
    ('data.train.rare_class_sampling.class_temp=x', 'class_temp', "'x'"),
    ('data.train.rare_class_sampling.min_pixels=x', 'min_pixels', "'x'"),
    ('data.train.rare_class_sampling.tempp=1', 'tempp'), ('seed.x=1', 'seed.x'), ('=1', "'=1'"),
]

COMMAND_LINES = [
    ('tools.train', '', 'config'), ('tools.train', '{config} --nonsense', '--nonsense'),
    ('tools.train', '{config} --seed x', '--seed'), ('tools.train', '{config} --seed -1', 'seed'),
    ('tools.train', '{config} --device tpu', "'tpu'"), ('tools.train', '{config} --device cuda:9', 'cuda:9'),
    ('tools.train', '{config} --launcher mpi', 'mpi'), ('tools.train', '{config} --launcher slurm', 'SLURM'),
    ('tools.train', '{config} --launcher pytorch', 'torchrun'),
    ('tools.train', '{config} --options x', "'x'"),
    ('tools.train', '{config} --load-from a --resume-from b', '--resume-from', '--load-from'),
    ('tools.train', '{config} --work-dir {file}', '{file}'),
    ('tools.train', '{config} --work-dir {file}/sub', '{file}'),
    ('tools.train', '{config} --resume gone', 'gone'),
    ('tools.train', '{config} --resume-from {weights} --no-checks', '{weights}', '--load-from'),
    ('tools.train', '{at}/no_model.py', "'model'"),
    ('tools.test', '{config}', 'checkpoint'), ('tools.test', '{config} {weights} --eval mIuO', "'mIuO'"),
    ('tools.test', '{config} {weights} --opacity 2', '--opacity 2'),
    ('tools.test', '{config} {weights} --opacity x', '--opacity'),
    ('tools.test', '{config} {weights} --out x.txt', '.pkl'),
    ('tools.test', '{config} {weights} --teacher', 'ema_model'),
    ('tools.test', '{config} {weights} --submission nowhere', 'nowhere'),
    ('tools.test', '{config} {weights} --eval-options x', "'x'"),
    ('tools.test', '{config} {weights} --inference-mode fast', 'fast'),
    ('tools.test', '{config} {weights} --work-dir {file}', '{file}'),
    ('tools.test', '{config} {weights} --show-dir {file}', '{file}'),
    ('tools.test', '{config} {weights} --options data.test.data_root=/nowhere', '/nowhere'),
    ('tools.test', '{config} {weights} --options data.test.type=Nope', "'Nope'"),
    ('tools.test', '{config} {weights} --options data.test.pipeline=3', "ACDCDataset'"),
    ('tools.test', '{config} {weights} --options model.test_cfg.mode=fast', 'fast'),
    ('tools.test', '{config} {weights} --invalid-below 2', '--invalid-below'),
    ('tools.test', '{config} {weights} --launcher slurm', 'SLURM'),
    ('tools.test', '{config} {at}/other.pth', 'other.pth', 'does not fit'),
    ('tools.test', '{at}/no_model.py {weights}', 'data.test', 'no_model.py'),
    ('demo.image_demo', '{image}', 'config'), ('demo.image_demo', 'gone.png {config} {weights}', 'gone.png'),
    ('demo.image_demo', '{empty} {config} {weights}', '{empty}'),
    ('demo.image_demo', '{file} {config} {weights}', '{file}'),
    ('demo.image_demo', '{at}/bad.png {config} {weights}', 'bad.png'),
    ('demo.image_demo', '{at}/video.mp4 {config} {weights}', 'video.mp4'),
    ('demo.image_demo', '{image} {config} {weights} --palette nowhere', 'nowhere'),
    ('demo.image_demo', '{image} {config} {weights} --opacity 3', 'opacity'),
    ('demo.image_demo', '{image} {config} {weights} --device cuda:7', 'cuda:7'),
    ('demo.image_demo', '{image} {config} {weights} --out {file}/x.png', '{file}'),
    ('demo.image_demo', '{image} {config} {weights} --out x.xyz', 'x.xyz'),
    ('demo.image_demo', '{image} {config} {weights} --out {image}', '{image}'),
    ('demo.image_demo', '{image} {config} {weights} --teacher', 'ema_model'),
    ('demo.image_demo', '{image} {at}/no_model.py {weights}', "'model'"),
    ('demo.run_demo', '--nope', '--nope'),
]
