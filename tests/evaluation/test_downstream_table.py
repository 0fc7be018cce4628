from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope

from tests.commands.runs import run
from tests.configs.small_downstream import LEAVES, parsed, small_config, write_all
from tests.golden import ROOT
from ultrasam.errors import InputError
from ultrasam.openmmlab.downstream.runs import identify, read_runs
from ultrasam.openmmlab.downstream.table import as_csv, as_json, as_markdown, tabulate
from ultrasam.openmmlab.runner import build_runner

DOWNSTREAM = ROOT / 'configs/UltraSAM/UltraSAM_full/downstream'
BUSBRA = 'classification/BUSBRA/UltraSam.py'
STARTED = '20260101_00000{}'


def write_session(
    work_dir: Path,
    path: str,
    *,
    number: int = 0,
    seed: int = 0,
    val: dict[int, dict[str, float]] | None = None,
    test: dict[str, float] | None = None,
    load_from: str | None = None,
    steps: int | None = None,
) -> Path:
    """What a session of MMEngine leaves, with given figures; ``steps`` is None for one that only tests."""
    folder = work_dir / STARTED.format(number)
    (folder / 'vis_data').mkdir(parents=True)
    config = Config(parsed(DOWNSTREAM / path).to_dict(), format_python_code=False)
    config.randomness = dict(seed=seed)
    config.load_from = load_from if load_from is not None else config.get('load_from')
    config.dump(folder / 'vis_data/config.py')
    lines = [{'loss': 1.0, 'iter': step, 'step': step} for step in range(50, (steps or 0) + 1, 50)]
    lines += [{**figures, 'data_time': 0.1, 'step': step} for step, figures in (val or {}).items()]
    lines.sort(key=lambda line: line['step'])
    if lines:
        (folder / 'vis_data/scalars.json').write_text(''.join(f'{json.dumps(line)}\n' for line in lines))
    if test is not None:
        (folder / f'{folder.name}.json').write_text(json.dumps({**test, 'time': 0.1}))
    return folder


def of_images(f1: float) -> dict[str, float]:
    return {f'classification/{key}': f1 for key in ('precision', 'recall', 'f1')}


def trained(work_dir: Path, path: str = BUSBRA, seed: int = 0, best: float = 0.8, last: float = 0.7) -> Path:
    val = {500: of_images(0.5), 1000: of_images(best), 1500: of_images(best), 2000: of_images(last)}
    return write_session(work_dir, path, seed=seed, val=val, steps=2000)


def cells(report, task: int = 1) -> dict:
    return {
        (one.encoder, one.checkpoint, one.dataset, one.metric): (one.mean, one.sd, one.runs)
        for one in report.tables[task].cells
    }


def test_every_config_has_a_row_of_its_own():
    rows = [(identify(parsed(path)), path) for path in LEAVES]
    assert len({row for row, _ in rows}) == len(rows)
    names = {path.relative_to(DOWNSTREAM).as_posix(): row for row, path in rows}
    assert names['segmentation/GIST514-DB/UltraSam_SA-1B.py'].encoder == 'UltraSam with SA-1B'
    assert names['segmentation/MMotu2d/SAM_pyramid.py'].encoder == 'SAM, pyramid'
    assert names['classification/BUSBRA/lora_ultrasam.py'].encoder == 'UltraSam, LoRA'
    assert names['classification/lora_MMotu2d.py'].dataset == 'MMOTU-2D'
    assert names['classification/POCUS_by_patient/resnet50.py'].dataset == 'POCUS by patient'
    assert names['regression/simulated/nano.py'].task == 'regression'
    prompted = identify(parsed(DOWNSTREAM / 'prompted_classification/BUSBRA.py'))
    assert (prompted.task, prompted.dataset, prompted.encoder) == (
        'prompted',
        'BUS-BRA',
        'UltraSam, prompted',
    )


def test_best_and_last_of_several_seeds(tmp_path: Path):
    for seed, (best, last) in enumerate(((0.80, 0.70), (0.84, 0.74), (0.88, 0.72))):
        trained(tmp_path / f'seed{seed}', seed=seed, best=best, last=last)
    report = tabulate(read_runs([tmp_path]), part='val')
    found = cells(report)
    assert found['UltraSam', 'best', 'BUS-BRA', 'f1'] == pytest.approx((84.0, 4.0, 3))
    assert found['UltraSam', 'last', 'BUS-BRA', 'f1'] == pytest.approx((72.0, 2.0, 3))
    assert len(found) == 6 and not report.notes
    text = as_markdown(report)
    assert '84.0 ± 4.0 (3)' in text
    rows = list(csv.DictReader(as_csv(report).splitlines()))
    assert sum(row['source'] == 'runs' for row in rows) == 6
    (row,) = (row for row in rows if (row['checkpoint'], row['metric']) == ('best', 'f1'))
    assert (float(row['percent']), float(row['sd']), row['runs']) == (84.0, 4.0, '3')
    assert json.loads(json.dumps(as_json(report), allow_nan=False))['tables'][1]['part'] == 'val'


@pytest.mark.parametrize('last', ['iter_2000.pth', 'last.pth'])
def test_tests_are_those_of_their_checkpoint(tmp_path: Path, last: str):
    work = tmp_path / 'runs/one'
    trained(work)
    best = str(work / 'best_classification_f1_iter_1000.pth')
    write_session(tmp_path / 'tested/a', BUSBRA, test=of_images(0.66), load_from=best)
    # as seen from the folder where it was typed
    write_session(tmp_path / 'tested/b', BUSBRA, test=of_images(0.55), load_from=f'runs/one/{last}')
    write_session(tmp_path / 'tested/c', BUSBRA, test=of_images(0.11), load_from=str(work / 'iter_1500.pth'))
    report = tabulate(read_runs([tmp_path / 'runs', tmp_path / 'tested']))
    found = cells(report)
    assert found['UltraSam', 'best', 'BUS-BRA', 'f1'] == pytest.approx((66.0, None, 1))
    assert found['UltraSam', 'last', 'BUS-BRA', 'f1'] == pytest.approx((55.0, None, 1))
    (note,) = report.notes
    assert 'iter_1500.pth was tested, which is neither its best nor its last' in note


def test_tests_without_their_training(tmp_path: Path):
    for name, value in (('best_classification_f1_iter_500.pth', 0.6), ('iter_2000.pth', 0.5)):
        write_session(tmp_path / name, BUSBRA, test=of_images(value), load_from=f'elsewhere/{name}')
    report = tabulate(read_runs([tmp_path]))
    assert {key[1]: value for key, value in cells(report).items() if key[3] == 'f1'} == {
        'best': pytest.approx((60.0, None, 1)),
        'last': pytest.approx((50.0, None, 1)),
    }


def test_layout_of_the_paper(tmp_path: Path):
    trained(tmp_path / 'a')
    write_session(
        tmp_path / 'b',
        'segmentation/MMotu2d/SAM_pyramid.py',
        steps=8000,
        val={8000: {'coco/segm_mAP': 0.456}},
    )
    prompted = {f'object/{key}': 0.9 for key in ('precision', 'recall', 'f1')}
    write_session(tmp_path / 'c', 'prompted_classification/MMotu2d.py', steps=2000, val={2000: prompted})
    trained(tmp_path / 'd', 'classification/FattyLiver/resnet50.py')
    text = as_markdown(tabulate(read_runs([tmp_path]), part='val'))
    segmentation, classification = text.split('## Table 3')
    assert '| UltraSam | the paper |' + ' unknown |' * 9 in segmentation
    assert '| SAM, pyramid | last | - | - | - | 45.6 |' in segmentation
    assert '| USF-MAE | published | - | - | - | 51.0 | 77.9 |' in segmentation
    assert 'Fatty liver F1' in classification and 'TN5000' not in classification
    assert '| UltraSam | best | 80.0 | 80.0 | 80.0 | - |' in classification
    assert '| UltraSam, prompted | best | - | - | - | 90.0 | 90.0 | 90.0 |' in classification
    assert 'Rows with "prompted" count objects' in classification
    assert '| US-JEPA | published | - | - | 76.0 |' in classification
    for line in text.splitlines():
        assert not line.startswith('|') or line.count('|') in {12, 15}


def test_runs_that_are_left_out_are_named(tmp_path: Path):
    write_session(tmp_path / 'short', BUSBRA, val={500: of_images(0.9)}, steps=700)
    write_session(tmp_path / 'other', 'regression/simulated/nano.py', steps=2000)
    trained(tmp_path / 'one')
    trained(tmp_path / 'two')
    report = tabulate(read_runs([tmp_path]), part='val')
    assert cells(report)['UltraSam', 'best', 'BUS-BRA', 'f1'][2] == 2
    text = as_markdown(report)
    assert 'short: UltraSam on BUS-BRA (classification): trained 700 of 2000 iterations, left out' in text
    assert 'other: nano on simulated (regression): in no table of the paper, left out' in text
    assert '2 runs of the same seed 0' in text
    untested = tabulate(read_runs([tmp_path / 'one']))
    assert not untested.tables[1].cells
    assert 'no test figures of the best and last checkpoint: test it with tools/test.py' in untested.notes[0]


def test_a_run_that_logged_no_loss_is_there(tmp_path: Path):
    # the log keeps a loss every 50 steps
    write_session(tmp_path / 'short', BUSBRA, val={2: of_images(0.2), 4: of_images(0.1)}, steps=4)
    (found,) = read_runs([tmp_path])
    assert found.reached == 4
    assert found.figures['val', 'best'] == of_images(0.2)
    (note,) = tabulate([found], part='val').notes
    assert 'trained 4 of 2000 iterations, left out' in note


def test_a_resumed_run_is_one(tmp_path: Path):
    write_session(tmp_path, BUSBRA, number=0, val={500: of_images(0.6), 1000: of_images(0.1)}, steps=1000)
    later = {1000: of_images(0.5), 1500: of_images(0.4), 2000: of_images(0.3)}
    session = write_session(tmp_path, BUSBRA, number=1, val=later, steps=2000)
    # killed while it wrote
    with (session / 'vis_data/scalars.json').open('a') as file:
        file.write('{"loss": 0.')
    (made,) = read_runs([tmp_path])
    assert made.is_finished
    assert made.figures['val', 'best']['classification/f1'] == 0.6
    assert made.figures['val', 'last']['classification/f1'] == 0.3


def spoil_config(folder: Path) -> None:
    (folder / 'vis_data/config.py').write_text('model = dict(')


def spoil_task(folder: Path) -> None:
    (folder / 'vis_data/config.py').write_text("model = dict(type='SSD', backbone=dict(type='VGG'))\n")


def spoil_line(folder: Path) -> None:
    file = folder / 'vis_data/scalars.json'
    lines = file.read_text().splitlines(keepends=True)
    file.write_text(''.join([*lines[:3], '{"loss": 0.', '\n', *lines[3:]]))


def spoil_step(folder: Path) -> None:
    (folder / 'vis_data/scalars.json').write_text('{"loss": 1.0}\n')


def spoil_test(folder: Path) -> None:
    (folder / f'{folder.name}.json').write_text('[1, 2]')


def empty_test(folder: Path) -> None:
    (folder / f'{folder.name}.json').write_text('{"time": 1}')


@pytest.mark.parametrize(
    ('spoil', 'message'),
    [
        (spoil_config, r'one/.*config\.py: cannot be read as a config'),
        (spoil_task, r'one/.*config\.py: is no config of a downstream task'),
        (spoil_line, r'one/.*scalars\.json, line 4: is damaged'),
        (spoil_step, r'one/.*scalars\.json, line 1: has no step'),
        (spoil_test, r'one/.*20260101_000000\.json: is no record of figures'),
        (empty_test, r'one/.*20260101_000000\.json: holds no figure of a test'),
    ],
)
def test_bad_runs_are_named_by_their_file(spoil, message: str, tmp_path: Path):
    spoil(trained(tmp_path / 'one'))
    trained(tmp_path / 'two')
    with pytest.raises(InputError, match=message):
        read_runs([tmp_path])


def test_folders_that_hold_no_run_or_too_many(tmp_path: Path):
    with pytest.raises(InputError, match='no run of MMEngine is in it'):
        read_runs([tmp_path])
    trained(tmp_path / 'one')
    write_session(tmp_path / 'one', 'classification/BUSBRA/resnet50.py', number=1, steps=100)
    with pytest.raises(InputError, match='holds runs of different configs'):
        read_runs([tmp_path])


def test_a_test_on_another_data_set(tmp_path: Path):
    trained(tmp_path / 'one')
    load_from = str(tmp_path / 'one/iter_2000.pth')
    write_session(
        tmp_path / 'two', 'classification/BUSI/UltraSam.py', test=of_images(0.5), load_from=load_from
    )
    with pytest.raises(InputError, match=r'tests .* on BUSI .*, which was trained on BUS-BRA'):
        read_runs([tmp_path])


@pytest.fixture
def scope_given_back():
    yield
    init_default_scope('mmdet')


@pytest.mark.filterwarnings('ignore::UserWarning')
@pytest.mark.usefixtures('scope_given_back')
def test_of_runs_that_really_ran(tmp_path: Path):
    data = write_all(tmp_path / 'data')
    path = DOWNSTREAM / BUSBRA
    config = small_config(path, data, tmp_path / 'runs/one')
    build_runner(config).train()
    (best,) = (tmp_path / 'runs/one').glob('best_classification_f1_iter_*.pth')
    scores = {}
    for checkpoint in (best, tmp_path / 'runs/one/iter_2.pth'):
        config = small_config(path, data, tmp_path / 'tested' / checkpoint.stem)
        config.load_from = str(checkpoint)
        scores[checkpoint.stem] = build_runner(config).test()['classification/f1']
    command = [sys.executable, ROOT / 'tools/downstream_table.py', tmp_path / 'runs', tmp_path / 'tested']
    done = run([*command, '--json', tmp_path / 'table.json', '--csv', tmp_path / 'table.csv'])
    assert done.returncode == 0, done.stdout
    found = {
        (one['checkpoint'], one['metric']): one['mean']
        for one in json.loads((tmp_path / 'table.json').read_text())['tables'][1]['runs']
    }
    assert found['best', 'f1'] == pytest.approx(100 * scores[best.stem], abs=1e-3)
    assert found['last', 'f1'] == pytest.approx(100 * scores['iter_2'], abs=1e-3)
    assert 'Not in the tables' not in done.stdout
    again = run([*command, '--csv', tmp_path / 'table.csv'])
    assert again.returncode != 0 and 'OutputError' in again.stdout and 'Traceback' not in again.stdout
