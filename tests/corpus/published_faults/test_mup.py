"""MUP and MicroSeg are one release: a patient must not be trained on in one and tested on in the other."""

from __future__ import annotations

from pathlib import Path

from tests.corpus.test_sweep import DESCRIPTIONS, build
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.patterns import fill
from ultrasam.corpus.plan import make_plan
from ultrasam.corpus.tree import open_tree


def test_both_name_patients_and_parts_alike(tmp_path: Path) -> None:
    release = build('mup', tmp_path / 'raw').source
    parts = []
    for name in ('mup', 'microseg'):
        spec = load_spec(DESCRIPTIONS[name])
        plan = make_plan(spec, open_tree(release, tmp_path / name, spec.archives))
        assert spec.subject is not None and not plan.faults
        parts.append({fill(spec.subject, item.groups): item.part for item in plan.items})
    assert parts[0] == parts[1] == {'train_01': 'train', 'train_02': 'train', 'test_01': 'test'}
