"""BUS (Dataset B): an image without its mask is not passed over, and both names of the folder are known."""

from __future__ import annotations

from pathlib import Path

from tests.corpus.test_sweep import DESCRIPTIONS, build
from ultrasam.corpus.loading import load_spec
from ultrasam.corpus.plan import Plan, make_plan
from ultrasam.corpus.tree import open_tree

SPEC = load_spec(DESCRIPTIONS['bus_dataset_b'])


def plan(source: Path, scratch: Path) -> Plan:
    return make_plan(SPEC, open_tree(source, scratch, SPEC.archives))


def test_image_without_mask_is_a_fault(tmp_path: Path) -> None:
    source = build('bus_dataset_b', tmp_path / 'raw').source
    (source / 'Dataset_B' / 'GT' / '000003.png').unlink()
    faults = plan(source, tmp_path / 'scratch').faults
    assert [fault.file for fault in faults] == ['original/000003.png']


def test_folder_as_it_was_packed_anew(tmp_path: Path) -> None:
    source = build('bus_dataset_b', tmp_path / 'raw').source
    (source / 'Dataset_B').rename(source / 'BUS')
    found = plan(source, tmp_path / 'scratch')
    assert (len(found.items), found.faults, found.unused) == (4, (), ())
