"""The files of an evaluation: ``results.json``, ``README.md`` and plots."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ultrasam.atomic import publish_folder, publish_json
from ultrasam.evaluation import plots
from ultrasam.evaluation.comparison import Comparison
from ultrasam.evaluation.protocols import CLICKS, SINGLE_PROMPTS
from ultrasam.evaluation.results import Results
from ultrasam.markdown import markdown_table

RESULTS, PAGE, DIFFERENCES = 'results.json', 'README.md', 'comparison.png'
_PUBLISHED = {
    'coco/segm_mAP': 'mask mAP',
    'coco/segm_mAP_50': 'mask mAP@50',
    'coco/segm_mAP_75': 'mask mAP@75',
}
_DIGITS = {'nsd_px': 3, 'nsd_mm': 3, 'hd95_px': 1, 'assd_px': 1, 'hd95_mm': 2, 'assd_mm': 2}
_SHOWN_CLICKS = (1, 2, 3, 5, 7, 10, 15, 20)
_HOW = """## How this was measured

- Intervals hold 95 %: subjects were drawn with replacement, each with all its objects. Where a subject is not known,
  its source file counts as one, or else the image. The published figures have no interval.
- HD95 is the larger of the 95th percentiles of both directions, ASSD the mean over both outlines, NSD the share of
  both outlines within the tolerance of the other. Outlines are pixels, and the border of the image bounds a mask that
  touches it. An empty mask counts with overlap and NSD 0 and with the diagonal of the image as distance.
- NoC@85 is the number of clicks until IoU 0.85; an object that never gets there counts with the most clicks given.
- *centre point* is the mean of the mask, as published; it may lie off a bent object. *innermost point* is the pixel
  farthest from the outline. Further clicks go amid the largest error.
- *image of another frame*: the prompt fits, the image does not. What a model reaches so, it reads off the prompt.
- ECE compares predicted with true IoU in ten bins. AURC is the mean of 1 - IoU over all shares of masks that could be
  kept when they are sorted by predicted IoU.
- *united*: all masks of an image as one, averaged over images, as papers on BUSI and TN3K count. Each object had its
  own prompt. *squashed*: both masks brought to 256 x 256 pixels before.
"""


def write_report(
    results: Results, folder: Path, *, comparison: Comparison | None = None, overwrite: bool = False
) -> None:
    """Write all files of an evaluation, or none.

    Args:
        results: with their summary.
        folder: to make.
        comparison: with another evaluation.
        overwrite: replace the folder.

    Raises:
        ConfigError: matplotlib is not installed.
        OutputError: the folder is there already, or cannot be written.
    """
    content = results.as_dict()
    if comparison is not None:
        content['comparison'] = comparison.as_dict()
    with publish_folder(folder, overwrite=overwrite) as temporary:
        publish_json(temporary / RESULTS, content, overwrite=False)
        titles = plots.draw_plots(results, temporary)
        if comparison is not None:
            plots.draw_differences(content['comparison']['differences'], temporary / DIFFERENCES)
        (temporary / PAGE).write_text(page_text(results, comparison, titles), encoding='utf-8')


def page_text(
    results: Results, comparison: Comparison | None = None, titles: Mapping[str, str] | None = None
) -> str:
    """The page of an evaluation, in Markdown.

    Args:
        results: with their summary.
        comparison: with another evaluation.
        titles: of the plots beside the page, by file name.
    """
    parts = [
        '# Evaluation',
        _facts(results),
        _published(results),
        _protocols(results),
        _clicks(results),
        _comparison(comparison),
        _upsampling(results),
        _groups(results),
        _calibration(results),
        _united(results),
        _empty_frames(results),
        _plots(titles or {}),
        _HOW,
    ]
    return '\n\n'.join(part.strip() for part in parts if part) + '\n'


def protocol_table(results: Results) -> str:
    """Scores by protocol, in Markdown: what a command shows at its end."""
    protocols = results.summary['protocols']
    has_mm = any('hd95_mm' in of for of in protocols.values())
    distances = ['nsd_px', 'hd95_px', 'assd_px', *(['nsd_mm', 'hd95_mm', 'assd_mm'] if has_mm else [])]
    head = ['prompt', 'Dice', 'worst decile', 'IoU', *map(_distance_title, distances), 'empty masks']
    rows = [
        [
            SINGLE_PROMPTS[name].title,
            _number(of['dice']),
            f'{of["dice_worst_decile"]:.3f}',
            _number(of['iou']),
            *(_number(of.get(key), _DIGITS[key]) for key in distances),
            str(of['empty_masks']),
        ]
        for name, of in protocols.items()
        if name in SINGLE_PROMPTS
    ]
    return markdown_table(head, rows) if rows else ''


def dice_table(results: Results) -> str:
    """Dice by protocol and click, and of the worst decile, in Markdown: short enough for a terminal."""
    rows = [
        [SINGLE_PROMPTS[name].title, _number(of['dice']), f'{of["dice_worst_decile"]:.3f}']
        for name, of in results.summary['protocols'].items()
        if name in SINGLE_PROMPTS
    ]
    clicks = results.summary['clicks']
    if clicks:
        worst = np.percentile(np.array(results.clicks['dice']), 10, axis=0)
        rows += [
            [f'{number} click{"s" * (number > 1)}', _number(interval), f'{low:.3f}']
            for number, (interval, low) in enumerate(zip(clicks['dice'], worst, strict=True), start=1)
        ]
    return markdown_table(('prompt', 'Dice', 'worst decile'), rows)


def _facts(results: Results) -> str:
    about, counts = results.about, results.counts
    left_out = ', '.join(f'{number} {reason}' for reason, number in counts['annotations_left_out'].items())
    units = ', '.join(f'{unit} of {number} images' for unit, number in counts['subject_is'].items())
    settings = about['settings']
    tolerances = settings['tolerances']
    spaced = counts['images_with_spacing']
    looked_at = f'{counts["images"]:,}'
    if counts['images'] < counts['images_of_file']:
        looked_at += f' of {counts["images_of_file"]:,}'
    config = about.get('config')
    lines = [
        *(
            [f'- Config: `{config["path"]}`, sha256 of its settings {config["sha256_of_settings"]}']
            if config
            else []
        ),
        f'- Checkpoint: `{about["checkpoint"]["path"]}`, sha256 {about["checkpoint"]["sha256"]}',
        f'- Annotations: `{about["annotations"]["path"]}`, sha256 {about["annotations"]["sha256"]}',
        f'- Images: {looked_at}, {counts["images_without_object"]:,} of them without an object; '
        f'spacing known of {spaced:,}',
        f'- Objects: {counts["objects"]:,}; annotations left out: {left_out or "none"}',
        f'- Subjects: {counts["subjects"]:,} (taken from: {units})',
        f'- Masks upsampled as {settings["mask_upsampling"]}; NSD within {tolerances["pixels"]:g} px, '
        f'{tolerances["mm"]:g} mm; seed {settings["seed"]}; {settings["bootstrap_samples"]:,} draws; '
        f'{settings["precision"]} on {about["device"]}',
        f'- Versions: {", ".join(f"{name} {version}" for name, version in about["versions"].items())}',
    ]
    return '\n'.join(lines)


def _published(results: Results) -> str:
    if not results.published:
        return ''
    known = [
        (title, f'{results.published[key]:.3f}')
        for key, title in _PUBLISHED.items()
        if key in results.published
    ]
    rows = known or [(key, f'{value:.3f}') for key, value in results.published.items()]
    return (
        "## Published evaluation\n\nThe config's own evaluator, on the prompts of its own test pipeline.\n\n"
        + markdown_table(('', 'value'), rows)
    )


def _protocols(results: Results) -> str:
    table = protocol_table(results)
    return f'## By prompt\n\nMeans over objects.\n\n{table}' if table else ''


def _clicks(results: Results) -> str:
    clicks = results.summary['clicks']
    if not clicks:
        return ''
    most = len(clicks['dice'])
    shown = [number for number in _SHOWN_CLICKS if number < most] + [most]
    rows = [
        [metric, *(_number(clicks[key][number - 1]) for number in shown)]
        for metric, key in (('Dice', 'dice'), ('IoU', 'iou'))
    ]
    needed = [
        [f'NoC@{key.removeprefix("noc_")}', _number(of, 2), f'{of["never_reached"]} of {of["count"]}']
        for key, of in clicks.items()
        if key.startswith('noc_')
    ]
    return (
        '## Corrective clicks\n\n'
        + markdown_table(['', *(f'{number} click{"s" * (number > 1)}' for number in shown)], rows)
        + '\n\n'
        + markdown_table(('', f'clicks (at most {most})', 'never reached'), needed)
    )


def _comparison(comparison: Comparison | None) -> str:
    if comparison is None:
        return ''
    rows = []
    for name, of in comparison.differences.items():
        title = 'corrective clicks' if name == CLICKS else SINGLE_PROMPTS[name].title
        rows += [
            [
                title,
                metric,
                _number(interval.as_dict(), 3, sign=True),
                'yes' if _is_beyond_chance(interval.as_dict()) else 'no',
            ]
            for metric, interval in of.items()
        ]
    remarks = ''.join(f'\n\nLook out: {remark}.' for remark in comparison.remarks)
    return (
        f'## Compared with another evaluation\n\nThis minus the other, over the {comparison.pairs:,} objects that both '
        f'have ({comparison.only_here:,} only here, {comparison.only_there:,} only there).{remarks}\n\n'
        + markdown_table(('prompt', 'metric', 'difference', '0 outside the interval'), rows)
        + f'\n\nEach interval holds at 95 % on its own, without a correction for {len(rows)} comparisons: of two equal '
        f'models about {0.05 * len(rows):.1f} rows would say yes by chance. Decide by the row chosen beforehand.'
    )


def _is_beyond_chance(interval: Mapping[str, Any]) -> bool:
    return interval['low'] is not None and not interval['low'] <= 0 <= interval['high']


def _upsampling(results: Results) -> str:
    pairs = results.summary['upsampling']
    if not pairs:
        return ''
    own = results.about['settings']['mask_upsampling']
    other = next(iter(pairs.values()))['other']
    rows = []
    for name, pair in pairs.items():
        of_other = results.summary['protocols'][f'{name}|{other}']
        of_own = results.summary['protocols'][name]
        rows.append(
            [
                SINGLE_PROMPTS[name].title,
                f'{of_own["dice"]["mean"]:.3f}',
                f'{of_other["dice"]["mean"]:.3f}',
                _number(pair['other_minus_own']['dice'], 3, sign=True),
                f'{of_own["nsd_px"]["mean"]:.3f}',
                f'{of_other["nsd_px"]["mean"]:.3f}',
            ]
        )
    head = (
        'prompt',
        f'Dice, {own}',
        f'Dice, {other}',
        f'Dice, {other} minus {own}',
        f'NSD, {own}',
        f'NSD, {other}',
    )
    return '## Two ways to upsample masks\n\n' + markdown_table(head, rows)


def _groups(results: Results) -> str:
    sections = []
    shown = [name for name in plots.SHOWN if name in results.summary['groups']]
    for kind, title in plots.GROUP_KINDS.items():
        of_kind = {name: results.summary['groups'][name][kind] for name in shown}
        labels = list(next(iter(of_kind.values()), {}))
        if not labels:
            continue
        first = of_kind[shown[0]]
        head = [title, 'objects', 'subjects', *(f'Dice, {SINGLE_PROMPTS[name].title}' for name in shown)]
        head += [f'HD95 px, {SINGLE_PROMPTS[name].title}' for name in shown]
        rows = [
            [
                label,
                f'{first[label]["dice"]["count"]:,}',
                f'{first[label]["dice"]["subjects"]:,}',
                *(_number(of_kind[name][label]['dice']) for name in shown),
                *(_number(of_kind[name][label]['hd95_px'], 1) for name in shown),
            ]
            for label in labels
        ]
        sections.append(f'### By {title}\n\n{markdown_table(head, rows)}')
    return '## Groups\n\n' + '\n\n'.join(sections) if sections else ''


def _calibration(results: Results) -> str:
    rows = [
        [
            SINGLE_PROMPTS[name].title,
            *(f'{of[key]:.3f}' for key in ('ece', 'bias', 'aurc', 'aurc_ideal', 'aurc_random')),
        ]
        for name, of in results.summary['calibration'].items()
    ]
    head = ('prompt', 'ECE', 'predicted minus true', 'AURC', 'AURC, ideal order', 'AURC, any order')
    return '## Predicted IoU\n\n' + markdown_table(head, rows) if rows else ''


def _united(results: Results) -> str:
    rows = [
        [
            SINGLE_PROMPTS[name].title,
            *(_number(of[key]) for key in ('dice', 'iou', 'iou_with_background', 'dice_256', 'iou_256')),
            *(f'{of[f"{key}_with_empty_frames"]:.3f}' for key in ('dice', 'iou')),
        ]
        for name, of in results.summary['united'].items()
    ]
    head = (
        'prompt', 'Dice', 'IoU', 'mean IoU of object and background', 'Dice, squashed', 'IoU, squashed',
        'Dice, empty frames as 1', 'IoU, empty frames as 1',
    )  # fmt: skip
    return (
        '## United masks of an image\n\nMeans over images with an object.\n\n' + markdown_table(head, rows)
        if rows
        else ''
    )


def _empty_frames(results: Results) -> str:
    number = results.counts['images_without_object']
    if not number:
        return '## Frames without the structure\n\nThe test set has none, so that false positives were not measured.'
    rows = [
        [
            SINGLE_PROMPTS[name].title,
            f'{of["false_positives"]:,} of {of["frames"]:,}',
            f'{of["rate"]:.1%}',
            f'{of["mean_area_share"]:.1%}',
            f'{of["mean_predicted_iou"]:.3f}',
        ]
        for name, of in results.summary['empty_frames'].items()
    ]
    head = (
        'one click',
        'masks that are not empty',
        'rate',
        'share of the image that they fill',
        'mean predicted IoU',
    )
    text = (
        f'## Frames without the structure\n\n{number:,} frames. Any mask there is a false positive. The click is at '
        'the centre of the image, or anywhere.'
    )
    return f'{text}\n\n{markdown_table(head, rows)}' if rows else text


def _plots(titles: Mapping[str, str]) -> str:
    return '\n\n'.join(f'![{title}]({name})' for name, title in titles.items())


def _distance_title(key: str) -> str:
    name, unit = key.split('_')
    return f'{name.upper()} {unit}'


def _number(interval: Mapping[str, Any] | None, digits: int = 3, *, sign: bool = False) -> str:
    """A mean with its interval, as in ``0.912 [0.890, 0.931]``."""
    if interval is None:
        return '-'
    form = f'{"+" if sign else ""}.{digits}f'
    mean = f'{interval["mean"]:{form}}'
    return (
        mean if interval['low'] is None else f'{mean} [{interval["low"]:{form}}, {interval["high"]:{form}}]'
    )
