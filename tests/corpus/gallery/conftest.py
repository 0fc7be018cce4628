"""Two small data sets, one split, with names that would be dangerous if a page believed them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.corpus.tools.tiny import HW, annotation, coco, image, square, write_dataset, write_json

SCRIPT = '<script>document.title = "broken in"</script>'
CLOSING = '</script><img src=x onerror="document.title = 1">'


@pytest.fixture(scope='session')
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BUSI with 6 images in train, 2 in val and 3 in test; `odd & sets #1` with 2 images, not split."""
    root = tmp_path_factory.mktemp('corpus') / 'data'
    train = coco({f'p{number}': [1] for number in range(4)} | {CLOSING: [1, 2]})
    train['categories'][0]['name'] = SCRIPT
    train['licenses'] = [{'id': 1, 'name': 'CC BY 4.0', 'url': ''}]
    train['info'] = {'title': 'Breast </script> images', 'url': 'javascript:alert(1)'}
    train['annotations'][0].update(square(2))
    val = coco({'v': [1, 1]}, first_image=20)
    test = coco({'t': [1, 2]}, first_image=40)
    test['images'].append(image(49, 't', source_file='scan.dcm', frame=7))
    val['categories'] = test['categories'] = train['categories']
    everything = {**train, 'images': [*train['images'], *val['images']], 'annotations': train['annotations']}
    write_dataset(root, 'BUSI', everything, test)
    for part, content in (('train', train), ('val', val)):
        write_json(root / f'BUSI/annotations/{part}.BUSI__coco.json', content)
    odd = coco({'x': [1], 'y': []}, first_image=0)
    odd['images'].append({**image(1, 'y'), 'file_name': 'a "b" #2?.png'})
    odd['annotations'].append({**annotation(9, 1), 'segmentation': {'size': list(HW), 'counts': '1'}})
    write_dataset(root, 'odd & sets #1', odd)
    (root / 'notes').mkdir()
    return root
