"""``ultrasam info``: what a checkpoint is."""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path


def add_parser(commands: argparse._SubParsersAction) -> None:
    """Add the sub-command."""
    parser = commands.add_parser(
        'info',
        help='what a checkpoint is',
        description='Say what a checkpoint is: architecture, sha256, licence, number of tensors and values.',
        epilog='examples:\n  ultrasam info UltraSam.pth\n  ultrasam info            the checkpoint that ships',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('checkpoint', type=Path, nargs='?', help='the file (default: the one that ships)')
    parser.add_argument('--keys', action='store_true', help='list every tensor')
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Describe the file."""
    from ultrasam.checkpoints import load_checkpoint_file, state_dict_of
    from ultrasam.checkpoints.describe import describe
    from ultrasam.inference.inferencer import shipped_checkpoint

    path = args.checkpoint or shipped_checkpoint()
    checkpoint = load_checkpoint_file(path)
    weights = state_dict_of(checkpoint, path)
    model = describe(weights, checkpoint.get('meta'), str(path))
    lines = {
        'file': path,
        'sha256': _digest(path),
        'tensors': f'{len(weights)}, {sum(t.numel() for t in weights.values()):,} values',
        'types': ', '.join(sorted({str(t.dtype).removeprefix('torch.') for t in weights.values()})),
        'encoder': ', '.join(f'{key} {value}' for key, value in model.arch.items()),
        'input': f'{model.img_size} px, patches of {model.patch_size} px',
        'refines': 'yes, takes mask prompts' if model.refines else 'no',
        'mlp skip': model.mlp_skip
        + ('' if 'mlp_skip' in model.note else ' (taken for granted: the file does not say)'),
        **{key: value for key, value in model.note.items() if key != 'mlp_skip'},
    }
    lines.setdefault('licence', 'not stated in the file')
    for key, value in lines.items():
        sys.stdout.write(f'{key:>16}  {value}\n')
    for name, tensor in weights.items() if args.keys else ():
        sys.stdout.write(f'{name}  {tuple(tensor.shape)}  {tensor.dtype}\n')
    return 0


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open('rb') as file:
        for block in iter(lambda: file.read(1 << 20), b''):
            digest.update(block)
    return digest.hexdigest()
