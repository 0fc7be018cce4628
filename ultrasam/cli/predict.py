"""``ultrasam predict``: masks for clicks and boxes."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from ultrasam.cli.exit_codes import DONE, EXIT_CODES, INTERRUPTED, SOME_FAILED
from ultrasam.cli.optional import needs_torch
from ultrasam.cli.run_options import add_trust_option
from ultrasam.errors import ConfigError, PromptError
from ultrasam.io.readers.opening import find_inputs
from ultrasam.structures.frames import ObjectPrompt

if TYPE_CHECKING:
    from ultrasam.predict.batch import Fault, RunReport
    from ultrasam.predict.predictor import Predictor

EXAMPLES = f"""examples:
  ultrasam predict frame.png --point 210 145
  ultrasam predict frame.png --box 120 80 260 210 --negative 250 200 --out result
  ultrasam predict frame.png --box 120 80 260 210 --box 300 90 380 170 --out result --format overlay csv
  ultrasam predict scans/ --prompts prompts.json --out result --format mask coco
  ultrasam predict cine.dcm --point 210 145 --propagate --out result --format overlay csv
  ultrasam predict volume.nii.gz --axis 0 --box 120 80 260 210 --propagate --out result --format nifti

prompts.json maps file names to lists of objects:
  {{"a.png": [{{"box": [120, 80, 260, 210]}}, {{"points": [[300, 95], [310, 60]], "labels": [1, 0]}}]}}

weights of a prompted classifier are recognised: the class of each object is printed, and stands with its
probability in overlay, coco and csv.
coordinates are pixels of the image as it is; x goes right, y down, the first pixel is 0 0.
{EXIT_CODES}.
"""
# folders of results under --out: what they hold is not an input
RESULT_FOLDERS = ('overlay', 'mask', 'images', 'nifti')
MOST_SECONDS = 86400.0


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        'predict',
        help='masks for clicks and boxes',
        description='Segment what clicks and boxes point at: images, DICOM, volumes, videos; no ground truth.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('inputs', nargs='+', metavar='INPUT', help='files, folders or patterns')
    prompt = parser.add_argument_group('prompts')
    prompt.add_argument('--box', nargs=4, type=float, action='append', default=[], metavar=('X1', 'Y1', 'X2', 'Y2'),
                        help='box round an object; give it again for the next object')  # fmt: skip
    prompt.add_argument('--point', nargs=2, type=float, action='append', default=[], metavar=('X', 'Y'),
                        help='click on the object; several clicks are one object')  # fmt: skip
    prompt.add_argument('--negative', nargs=2, type=float, action='append', default=[], metavar=('X', 'Y'),
                        help='click off the object')  # fmt: skip
    prompt.add_argument('--prompts', type=Path, metavar='FILE', help='JSON file of prompts for each input')
    prompt.add_argument(
        '--propagate', action='store_true', help='prompt each frame by the masks of the one before'
    )
    result = parser.add_argument_group('results')
    result.add_argument('--out', type=Path, default=Path('result'), metavar='DIR',
                        help='folder of the results (default: result)')  # fmt: skip
    result.add_argument('--format', nargs='+', default=['overlay', 'mask', 'csv'], metavar='NAME',
                        help='overlay, mask, coco, nifti, csv (default: overlay mask csv)')  # fmt: skip
    result.add_argument('--overwrite', action='store_true', help='replace results that are there')
    result.add_argument('--quiet', action='store_true', help='print errors only')
    model = parser.add_argument_group('model')
    model.add_argument('--weights', '--checkpoint', dest='checkpoint', type=Path, metavar='FILE',
                       help='checkpoint or ONNX pair (default: the small model that ships)')  # fmt: skip
    model.add_argument('--engine', default='auto', choices=['auto', 'onnx', 'torch'],
                       help='onnx needs no PyTorch (default: auto, onnx for ONNX files, torch for .pth)')  # fmt: skip
    model.add_argument('--config', type=Path, help='config of the model (default: read from the weights)')
    model.add_argument('--device', help='cpu, cuda, cuda:1, mps (default: the best there is)')
    model.add_argument('--precision', default='auto', choices=['auto', 'fp32', 'bf16'], help='default: auto')
    model.add_argument('--refinements', type=int, help='passes after the first (default: those of the model)')
    model.add_argument('--upsampling', default='logits', choices=['logits', 'binary'],
                       help='binary: as the published figures were made (default: logits)')  # fmt: skip
    model.add_argument('--batch-size', type=batch_size, default='auto', metavar='N',
                       help='frames encoded at once (default: auto, by free memory)')  # fmt: skip
    model.add_argument('--cache', type=Path, metavar='DIR', help='keep image embeddings here')
    add_trust_option(model)
    reading = parser.add_argument_group('reading')
    reading.add_argument(
        '--axis', type=int, choices=[0, 1, 2], help='axis along which a volume is cut: 0 z, 1 y, 2 x'
    )
    reading.add_argument(
        '--window', nargs=2, type=float, metavar=('LOWEST', 'HIGHEST'), help='gray values to show'
    )
    reading.add_argument('--read-timeout', type=seconds, default=300.0, metavar='S',
                         help='give a file up after so many seconds without a frame (default: 300)')  # fmt: skip
    parser.set_defaults(run=run)


def batch_size(text: str) -> int | None:
    """A number of frames, or ``auto``, which is None."""
    if text == 'auto':
        return None
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'{text!r}: give a number from 1 on, or auto')
    return int(text)


def seconds(text: str) -> float:
    """A time above zero."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= MOST_SECONDS:
        raise argparse.ArgumentTypeError(f'{text!r}: give seconds, above 0 and up to {MOST_SECONDS:.0f}')
    return value


def prompts_of_line(args: argparse.Namespace) -> list[ObjectPrompt]:
    """Return the objects that the command line points at.

    Raises:
        PromptError: None, or clicks together with several boxes.
    """
    clicks = args.point + args.negative
    if clicks and len(args.box) > 1:
        raise PromptError(
            'clicks with several boxes: which object are they for? Give the prompts in a file (--prompts)'
        )
    if not clicks and not args.box:
        raise PromptError('no prompt: give --point, --box, or --prompts FILE')
    if len(args.box) > 1:
        return [ObjectPrompt(box_xyxy=box) for box in args.box]
    labels = [1] * len(args.point) + [0] * len(args.negative)
    return [ObjectPrompt(points_xy=clicks, point_labels=labels, box_xyxy=args.box[0] if args.box else None)]


class FilePrompts:
    """The prompts of a file, by its name in a prompt file or the same for all.

    Args:
        args: The command line.

    Raises:
        PromptError: No prompt, both kinds of prompt, or a prompt file that cannot be used.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        if args.prompts is not None and (args.box or args.point or args.negative):
            raise PromptError('prompts on the line and in a file: give one of them')
        self.same = prompts_of_line(args) if args.prompts is None else []
        self.by_name = None
        if args.prompts is not None:
            from ultrasam.predict.prompts import read_prompt_file

            self.by_name = read_prompt_file(args.prompts)
        self.source = args.prompts

    def __call__(self, path: Path) -> Sequence[ObjectPrompt]:
        """Return the prompts of one input.

        Raises:
            PromptError: The prompt file has no entry for it.
        """
        if self.by_name is None:
            return self.same
        for key in (str(path), path.as_posix(), path.name, path.stem):
            if key in self.by_name:
                return self.by_name[key]
        raise PromptError(f'{path}: {self.source} has no entry for it (looked for {path.name})')


def run(args: argparse.Namespace) -> int:
    """Check everything that can be checked at once, then predict on every input and report."""
    begun = perf_counter()
    prompts = FilePrompts(args)
    inputs = find_inputs(args.inputs, results=[args.out / name for name in RESULT_FOLDERS])
    from ultrasam.predict.engines import check_engine

    if args.config is None:
        check_engine(args.checkpoint, engine=args.engine, device=args.device, precision=args.precision)
    else:
        check_config(args)
    from ultrasam.cli.progress import ProgressBar
    from ultrasam.cli.stopping import StopRequest
    from ultrasam.io.readers import IsolatedReader
    from ultrasam.io.writers import ResultWriter
    from ultrasam.predict.batch import RunReport, look_at_files, segment_files

    if args.trust_pickle:
        from ultrasam.checkpoints.trust import trust_pickles

        trust_pickles(args.trust_pickle)
    window = None if args.window is None else (args.window[0], args.window[1])
    report = RunReport()
    files, unreadable = look_at_files(inputs)
    if not files:
        return _report(unreadable)
    with (
        IsolatedReader(axis=args.axis, window=window, timeout_s=args.read_timeout) as reader,
        ResultWriter(args.out, formats=args.format, overwrite=args.overwrite) as writer,
    ):
        writer.plan(files)
        predictor = open_predictor(args)
        loading_s = perf_counter() - begun
        with ProgressBar(files, is_hidden=args.quiet) as progress, StopRequest() as stop:
            segment_files(
                predictor,
                list(files),
                prompts,
                writer,
                reader=reader,
                propagate=args.propagate,
                refinements=args.refinements,
                batch_size=args.batch_size,
                progress=progress,
                report=report,
                is_stopped=lambda: stop.is_made,
            )
    code = _report(unreadable + report.faults)
    if stop.is_made:
        total = f' of {progress.frames}' if progress.frames else ''
        sys.stderr.write(
            f'stopped: {report.frames}{total} frames are done and kept in {args.out}, tables included\n'
        )
        return INTERRUPTED
    if not args.quiet:
        sys.stdout.write(class_lines(report))
        sys.stdout.write(f'{_counted(len(files) - len(report.faults), "file")} segmented: {args.out}\n')
        sys.stderr.write(times_line(report, loading_s))
    return code


def check_config(args: argparse.Namespace) -> None:
    """Check what goes with ``--config``: it is a file, PyTorch is there, which builds its model, and the rest fits it.

    Raises:
        CheckpointError: Files of weights that cannot be used together.
        ConfigError: Anything else that does not fit.
    """
    from ultrasam.predict.engines import check_engine

    needs_torch('building a model from a config')
    if args.engine == 'onnx':
        raise ConfigError('--config builds a model in PyTorch: leave out --engine onnx')
    if not Path(args.config).is_file():
        raise ConfigError(f'{args.config}: no such config. Check the path')
    check_engine(args.checkpoint, engine='torch', device=args.device, precision=args.precision)


def open_predictor(args: argparse.Namespace) -> Predictor:
    """Load the model that the command line asks for."""
    options: dict[str, Any] = dict(
        device=args.device, precision=args.precision, mask_upsampling=args.upsampling, cache_dir=args.cache
    )
    if args.config is not None:
        from ultrasam.openmmlab.inferencer import UltraSamInferencer

        return UltraSamInferencer(args.checkpoint, model=args.config, **options)
    from ultrasam.predict.predictor import Predictor

    return Predictor(args.checkpoint, engine=args.engine, **options)


def class_lines(done: RunReport) -> str:
    """The class of each object, a line each, of many only how often each class came; nothing without classes."""
    total = sum(done.class_counts.values())
    if not total:
        return ''
    if total > len(done.classes):
        counts = ', '.join(f'{name} {count}' for name, count in done.class_counts.most_common())
        return f'{_counted(total, "object")}: {counts}\n'
    return ''.join(
        f'{found.path}, frame {found.frame}, object {found.number}: {found.name}, {found.probability:.1%}\n'
        for found in done.classes
    )


def _counted(number: int, noun: str) -> str:
    return f'{number} {noun}' if number == 1 else f'{number} {noun}s'


def times_line(done: RunReport, loading_s: float) -> str:
    """What a run took, on one line, or nothing where there is no mask."""
    if done.first_mask_s is None or done.further_prompt_s is None:
        return ''
    return (
        f'model loaded in {loading_s:.1f} s, first mask after {done.first_mask_s:.2f} s, '
        f'{done.further_prompt_s:.3f} s per further prompt (median of {max(1, len(done.answer_s) - 1)}), '
        f'{_counted(done.frames, "frame")} done\n'
    )


def _report(faults: Sequence[Fault]) -> int:
    for fault in faults:
        sys.stderr.write(f'not done: {fault.message}\n')
    return SOME_FAILED if faults else DONE
