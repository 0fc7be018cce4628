"""Group C10: volumes that are damaged, that lie about their size, or that read other files."""

from __future__ import annotations

import functools
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.corpus.raw_trees.common import disc, speckle
from tests.faults.conversions import (
    DATA_FAULTS,
    DESCRIPTIONS,
    Job,
    crashed,
    digests,
    reference,
    run,
)
from tests.faults.harness import Arena, Trial, Verdict, fault, lossy, quiet, survived


def metaimage(
    values: np.ndarray | bytes, size: str, *lines: str, data: str = 'LOCAL', kind: str = 'UCHAR'
) -> bytes:
    """A MetaImage whose header says what it likes."""
    header = [
        'ObjectType = Image',
        f'NDims = {len(size.split())}',
        f'DimSize = {size}',
        f'ElementType = MET_{kind}',
    ]
    header += [*lines, f'ElementDataFile = {data}', '']
    return '\n'.join(header).encode() + (values if isinstance(values, bytes) else values.tobytes())


def _volumes(arena: Arena) -> dict[str, bytes]:
    good = np.stack([speckle(k, (64, 72)) for k in range(6)])
    packed = zlib.compress(good.tobytes())
    infinite = good.astype(np.float32)
    infinite[2, 5, 5] = np.inf
    undefined = good.astype(np.float32)
    undefined[3, 1, 1] = np.nan
    secret = arena.root / 'outside' / 'secret.raw'
    secret.write_bytes(good[::-1].tobytes())
    zipped = ('CompressedData = True', f'CompressedDataSize = {len(packed)}')
    return {
        'empty': b'',
        'web page': b'<html></html>',
        'cut': metaimage(good.tobytes()[:9000], '72 64 6'),
        'cut when packed': metaimage(packed[: len(packed) // 2], '72 64 6', *zipped),
        'damaged when packed': metaimage(packed[:5000] + bytes(200) + packed[5200:], '72 64 6', *zipped),
        'header says 2^31': metaimage(good, '2147483647 2147483647 6'),
        'negative size': metaimage(good, '-72 64 6'),
        'size zero': metaimage(good, '72 0 6'),
        'size without meaning': metaimage(good, '72 sixty 6'),
        'twenty axes': metaimage(good, ' '.join(['2'] * 20)),
        'unknown type': metaimage(good, '72 64 6', kind='QUATERNION'),
        'values in a file outside': metaimage(b'', '72 64 6', data=str(secret)),
        'values in a file outside by a relative path': metaimage(
            b'', '72 64 6', data='../' * 5 + 'outside/secret.raw'
        ),
        'values in a list of files': metaimage(f'{secret}\n'.encode() * 6, '72 64 6', data='LIST 2'),
        'infinite': metaimage(infinite, '72 64 6', kind='FLOAT'),
        'not a number': metaimage(undefined, '72 64 6', kind='FLOAT'),
        'more slices than labels': metaimage(np.concatenate([good, good]), '72 64 12'),
        'fewer slices than labels': metaimage(good[:4], '72 64 4'),
        'another plane': metaimage(good, '64 72 6'),
    }


@fault(
    'C10.volumes', 'MetaImage volumes that are damaged, that lie, or that read other files', stock_losses=0.4
)
def volumes(arena: Arena) -> Iterator[Trial]:
    from tests.corpus.raw_trees import acouslic

    contents = _volumes(arena)
    if not arena.ours:
        for name, content in contents.items():
            path = arena.root / 'raw' / f'{name}.mha'
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(content)
            yield Trial(name, functools.partial(_stock_volume, path))
        return
    for start in range(0, len(contents), 10):
        chosen = dict(list(contents.items())[start : start + 10])
        raw = arena.root / 'raw' / f'volumes{start}'
        clean = reference(DESCRIPTIONS / 'acouslic.py', acouslic.build(arena.root / 'raw' / 'whole').source)
        acouslic.build(raw)
        _lay_volumes(raw / 'acouslic-ai-train-set', chosen)
        job = Job(DESCRIPTIONS / 'acouslic.py', raw, arena.work / raw.name)
        yield Trial(raw.name, functools.partial(_judge_volumes, job, list(chosen), clean), len(chosen))


def _lay_volumes(root: Path, contents: dict[str, bytes]) -> None:
    labels = metaimage(np.repeat(disc(30, 30, 14, (64, 72))[None].astype(np.uint8), 6, axis=0), '72 64 6')
    table = root / 'circumferences' / 'fetal_abdominal_circumferences_per_sweep.csv'
    with table.open('a', encoding='utf-8') as file:
        for name, content in contents.items():
            (root / 'images/stacked_fetal_ultrasound' / f'{name}.mha').write_bytes(content)
            (root / 'masks/stacked_fetal_abdomen' / f'{name}.mha').write_bytes(labels)
            file.write(f'{name},13,1,1\n')


def _judge_volumes(job: Job, names: list[str], clean: dict[str, str]) -> list[Verdict]:
    done = run(job)
    wrong = crashed(done)
    if wrong is None and (done.code == 0 or job.target.exists()):
        wrong = quiet(f'was converted: {done.tail}')
    if wrong is None and done.code != DATA_FAULTS:
        wrong = lossy(done.tail)
    if wrong is not None:
        return [wrong] * len(names)
    verdicts = [
        survived() if f'/{name}.mha' in done.text else quiet(f'{name} is not named') for name in names
    ]
    again = run(Job(job.script, job.source.with_name('whole'), job.out))
    if again.code != 0 or digests(job.target) != clean:
        return [lossy(f'does not resume: {again.tail}')] * len(names)
    return verdicts


def _stock_volume(path: Path) -> Verdict:
    import SimpleITK as itk  # noqa: N813 - the short name that its users know

    os.chdir(path.parent)
    try:
        itk.GetArrayFromImage(itk.ReadImage(str(path)))
    except RuntimeError as error:
        return survived(str(error))
    return quiet('was taken for good')
