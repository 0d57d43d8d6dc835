from __future__ import annotations

from mmcv.runner import Hook


class CorruptSampleHook(Hook):
    """Reports each sample that ``data.bad_image='skip'`` replaced, and how many they were at the end. Their
    number is kept in the checkpoints."""

    def after_train_iter(self, runner) -> None:
        metas = [meta for key, found in runner.batch.items() if key.endswith('img_metas')
                 for meta in found or ()]
        replaced = [meta['replaced'] for meta in metas if 'replaced' in meta]
        for reasons in replaced:
            runner.logger.warning(f'step {runner.iter}: replaced corrupt sample: {"; ".join(reasons)}')
        runner.meta['replaced_samples'] = runner.meta.get('replaced_samples', 0) + len(replaced)

    def after_run(self, runner) -> None:
        count = runner.meta.get('replaced_samples', 0)
        if count:
            runner.logger.warning(f'{count} samples of this training were replaced because of bad images')
