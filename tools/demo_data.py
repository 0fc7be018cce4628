"""Make five small data sets in the layout of their releases, convert them, and draw sheets of what came out.

Nothing is downloaded: the pictures are simulated. The five are of different kinds: PNG files with a mask file for
each lesion, in a zip archive; JPEG files with coloured masks and lists of classes; NIfTI volumes with labels; videos
with traced outlines in a table; and PNG files with polygons in a table.

Examples:
  python tools/demo_data.py
  python tools/demo_data.py --out demo_output/data --count 20
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from ultrasam.cli.convert import run_all
from ultrasam.errors import UltraSamError
from ultrasam.simulation import SimulatedFrame, SimulationSettings, simulate_frame

ROOT = Path(__file__).resolve().parents[1]
SIZE = 320
SUFFIX = '.preview.png'


def frames(scene: str, count: int, *, first_seed: int) -> list[SimulatedFrame]:
    """Gray frames of one scene."""
    settings = SimulationSettings(size=SIZE, scene=scene, overlays=False, colour=False)
    return [simulate_frame(first_seed + number, settings=settings) for number in range(count)]


def save(path: Path, values: np.ndarray, **options: object) -> None:
    """Write a picture, its folder first; masks become black and white."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint8) * 255 if values.dtype == bool else values).save(path, **options)


def moved(values: np.ndarray, *, rows: int = 0, columns: int = 0) -> np.ndarray:
    """A picture moved down and to the right, black where nothing came from."""
    height, width = values.shape
    return np.pad(values, ((rows, 0), (columns, 0)))[:height, :width]


def write_rows(path: Path, rows: list[list[object]]) -> None:
    """Write a table, its folder first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open('w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows(rows)


def make_busi(folder: Path, count: int) -> None:
    """PNG files in folders of classes, one mask file a lesion, all in a zip archive."""
    loose = folder / 'loose'
    for number, frame in enumerate(frames('breast', count, first_seed=100), start=1):
        name = 'benign' if number % 3 else 'malignant'
        stem = loose / 'Dataset_BUSI_with_GT' / name / f'{name} ({number})'
        save(Path(f'{stem}.png'), frame.image)
        for k, mask in enumerate(frame.masks):
            save(Path(f'{stem}_mask{f"_{k}" if k else ""}.png'), mask)
    with zipfile.ZipFile(folder / 'Dataset_BUSI_with_GT.zip', 'w') as archive:
        for path in sorted(loose.rglob('*.png')):
            archive.write(path, path.relative_to(loose))
    shutil.rmtree(loose)


def make_mmotu(folder: Path, count: int) -> None:
    """JPEG files, masks in the colour of their class, lists of classes for the two parts."""
    lists: dict[str, list[str]] = {'train': [], 'val': []}
    for number, frame in enumerate(frames('pelvis', count, first_seed=200), start=1):
        colours = np.array([[0, 0, 0], [64 * (1 + number % 3), 0, 64]], np.uint8)
        save(folder / f'OTU_2d/images/{number}.JPG', frame.image, format='JPEG', quality=95)
        save(
            folder / f'OTU_2d/annotations/{number}.PNG', colours[frame.masks.any(0).astype(int)], format='PNG'
        )
        lists['val' if number % 3 == 0 else 'train'].append(f'{number}.JPG  {number % 8}\n')
    for part, lines in lists.items():
        (folder / f'OTU_2d/{part}_cls.txt').write_text(''.join(lines), encoding='utf-8')


def make_camus(folder: Path, count: int) -> None:
    """NIfTI half sequences with label volumes in folders of patients, and lists of patients."""
    import SimpleITK as itk  # noqa: N813 - the short name that its users know

    parts: dict[str, list[str]] = {'training': [], 'validation': [], 'testing': []}
    for number, frame in enumerate(frames('heart', max(3, count // 4), first_seed=300), start=1):
        patient = f'patient{number:04d}'
        labels = np.zeros(frame.image.shape, np.uint8)
        for value, mask in enumerate(frame.masks[:3], start=1):
            labels[mask & (labels == 0)] = value
        shifts = range(0, 16, 4)
        for ending, plane in (('', frame.image), ('_gt', labels)):
            path = folder / f'CAMUS/{patient}/{patient}_2CH_half_sequence{ending}.nii.gz'
            path.parent.mkdir(parents=True, exist_ok=True)
            volume = np.stack([moved(plane, rows=shift) for shift in shifts])
            itk.WriteImage(itk.GetImageFromArray(volume), str(path))
        list(parts.values())[(number - 1) % 3].append(f'{patient}\n')
    for part, lines in parts.items():
        path = folder / f'CAMUS/database_split/subgroup_{part}.txt'
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(''.join(lines), encoding='utf-8')


def make_echonet(folder: Path, count: int) -> None:
    """AVI videos of which two frames are traced by chords, and a table with the official split."""
    import cv2

    traces: list[list[object]] = [['FileName', 'X1', 'Y1', 'X2', 'Y2', 'Frame']]
    videos: list[list[object]] = [['FileName', 'Split']]
    (folder / 'Videos').mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames('heart', max(4, count // 2), first_seed=400)):
        name = f'0X{number:04X}'
        mask = max(frame.masks, key=np.count_nonzero)
        height, width = frame.image.shape
        out = cv2.VideoWriter(
            str(folder / f'Videos/{name}.avi'), cv2.VideoWriter.fourcc(*'MJPG'), 25, (width, height)
        )
        for shift in range(8):
            out.write(np.repeat(moved(frame.image, columns=2 * shift)[..., None], 3, axis=2))
        out.release()
        rows = np.flatnonzero(mask.any(axis=1))
        for index in (1, 6):
            # the first row of a frame is the long axis
            traces.append([f'{name}.avi', *_chord(mask, rows[0], index), index])
            traces += [[f'{name}.avi', *_chord(mask, row, index), index] for row in rows[::4]]
        videos.append([name, ('TRAIN', 'VAL', 'TEST')[number % 3]])
    write_rows(folder / 'VolumeTracings.csv', traces)
    write_rows(folder / 'FileList.csv', videos)


def _chord(mask: np.ndarray, row: int, index: int) -> list[object]:
    columns = np.flatnonzero(mask[row]) + 2 * index
    return [float(columns[0]), float(row), float(columns[-1]), float(row)]


def make_kidneyus(folder: Path, count: int) -> None:
    """PNG files, and the polygons of a labelling program in a table."""
    import cv2

    head = ['filename', 'file_size', 'file_attributes', 'region_count', 'region_id']
    table: list[list[object]] = [[*head, 'region_shape_attributes', 'region_attributes']]
    shown = [frame for frame in frames('abdomen', 3 * count, first_seed=500) if 'organ' in frame.categories]
    for number, frame in enumerate(shown[:count], start=1):
        name = f'{number}_IM-0001-{number:04d}_anon.png'
        save(folder / 'images' / name, frame.image)
        mask = frame.masks[frame.categories.index('organ')].astype(np.uint8)
        outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        points = max(outlines, key=cv2.contourArea).reshape(-1, 2)
        shape = {
            'name': 'polygon',
            'all_points_x': points[:, 0].tolist(),
            'all_points_y': points[:, 1].tolist(),
        }
        table.append([name, 1, '{}', 1, 0, json.dumps(shape), json.dumps({'Anatomy': 'Capsule'})])
    write_rows(folder / 'labels' / 'reviewed_labels_1.csv', table)


MAKERS = {
    'busi': make_busi,
    'mmotu_2d': make_mmotu,
    'camus': make_camus,
    'echonet_dynamic': make_echonet,
    'kidneyus': make_kidneyus,
}


def main() -> int:
    """Make, convert and report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        '--out', type=Path, default=Path('demo_output/data'), help='folder of all that is written'
    )
    parser.add_argument('--count', type=int, default=12, help='frames of a data set, about (default: 12)')
    args = parser.parse_args()
    raw, coco = args.out / 'raw', args.out / 'coco'
    for name, make in MAKERS.items():
        shutil.rmtree(raw / name, ignore_errors=True)
        (raw / name).mkdir(parents=True)
        make(raw / name, args.count)
        options = ['--accept-counts', '--overwrite', '--preview', str(args.count)]
        code = run_all(ROOT / 'datasets/us43d', [name, str(raw), str(coco), *options])
        if code:
            return code
    sys.stdout.write(f'\n{"data set":<18}{"images":>8}{"test":>6}{"objects":>9}{"patients":>10}  sheet\n')
    for path in sorted(coco.glob('*/manifest.json')):
        counts = json.loads(path.read_text(encoding='utf-8'))['counts']
        images, found = counts['images'], sum(counts['annotations'].values())
        sheet = path.parent.with_name(path.parent.name + SUFFIX)
        sys.stdout.write(
            f'{path.parent.name:<18}{sum(images.values()):>8}{images.get("test", 0):>6}{found:>9}'
            f'{counts["subjects"]:>10}  {sheet}\n'
        )
    return 0


if __name__ == '__main__':
    try:
        sys.exit(main())
    except UltraSamError as problem:
        sys.exit(str(problem))
