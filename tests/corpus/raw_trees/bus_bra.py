"""BUS-BRA: flat folders, tables with case, pathology and folds."""

from __future__ import annotations

from pathlib import Path

from tests.corpus.raw_trees.common import Object, Picture, Tree, disc, save, speckle, write

SHOWS = (
    'views of one patient share a subject',
    'fold 1 is the test part and the official validation part is known',
    'a row is looked up by its ID, not taken from the line before',
)
# id: case, pathology, fold, valid_1
ROWS = {
    '0001-l': (1, 'benign', 1, ''),
    '0001-r': (1, 'benign', 1, ''),
    '0002-s': (2, 'malignant', 2, '1'),
    '0003-l': (3, 'malignant', 3, '0'),
    '0010-r': (10, 'benign', 5, '0'),
}


def build(folder: Path) -> Tree:
    root = folder / 'BUSBRA'
    pictures = []
    for seed, (name, (case, pathology, fold, valid)) in enumerate(ROWS.items()):
        image, mask = speckle(seed), disc(30, 20 + 8 * seed, 9)
        save(root / 'Images' / f'bus_{name}.png', image)
        save(root / 'Masks' / f'mask_{name}.png', mask)
        category = f'breast_nodule_{pathology}'
        part = 'test' if fold == 1 else 'val' if valid == '1' else 'train'
        pictures.append(
            Picture(
                f'Images/bus_{name}.png', (Object(category, mask),), None, str(case), part, category, image
            )
        )
    # the tables list the images in other orders than the folder
    data = [f'bus_{name},{row[0]},{row[1]},4' for name, row in sorted(ROWS.items(), reverse=True)]
    write(root / 'bus_data.csv', '\n'.join(['ID,Case,Pathology,BIRADS', *data]) + '\n')
    folds = [f'bus_{name},{row[1]},{row[2]},{row[3]},,,,' for name, row in ROWS.items()]
    header = 'ID,Pathology,kFold,valid_1,valid_2,valid_3,valid_4,valid_5'
    write(root / '5-fold-cv.csv', '\n'.join([header, *folds]) + '\n')
    write(root / '10-fold-cv.csv', 'ID,Pathology,kFold\n')
    return Tree(folder, tuple(pictures), {'folds that are not used': 1})
