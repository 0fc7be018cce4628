"""Options that training and testing share; they are those of mmdet."""

from __future__ import annotations

import argparse
import os


def add_trust_option(parser: argparse.ArgumentParser | argparse._ArgumentGroup) -> None:
    """Add ``--trust-pickle``; see :func:`ultrasam.checkpoints.trust.trust_pickles`."""
    parser.add_argument(
        '--trust-pickle',
        action='append',
        default=[],
        metavar='SHA256',
        help='let the checkpoint with this sha256 run code; only if you trust its author',
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Add the config, its overrides, the folder of results and the launcher."""
    from ultrasam.openmmlab.launch import DictAction

    parser.add_argument('config', help='config file; the suffix .py may be left out')
    parser.add_argument(
        '--work-dir', help='folder of logs, metrics and checkpoints (default: work_dirs/NAME)'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, help='settings to override, as KEY=VALUE'
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher'
    )
    parser.add_argument(
        '--local_rank', '--local-rank', type=int, default=0, help='set by torch.distributed.launch'
    )
    add_trust_option(parser)


def apply_run_options(args: argparse.Namespace) -> None:
    """Tell the process its rank and the files that it may trust.

    Raises:
        CheckpointError: a digest that is none.
    """
    from ultrasam.checkpoints.trust import trust_pickles

    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    trust_pickles(args.trust_pickle)
