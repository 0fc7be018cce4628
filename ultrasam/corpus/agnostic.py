"""The class-agnostic view of a COCO file: every structure is an object."""

from __future__ import annotations

from typing import Any

OBJECT = {'id': 1, 'name': 'object', 'supercategory': 'none'}


def class_agnostic_view(coco: dict[str, Any]) -> dict[str, Any]:
    """A copy of a COCO file whose only category is ``object``.

    Args:
        coco: the content of a COCO file; it is not changed.

    Returns:
        The same images and annotations, each annotation of category 1.
    """
    annotations = [{**annotation, 'category_id': OBJECT['id']} for annotation in coco['annotations']]
    return {**coco, 'categories': [dict(OBJECT)], 'annotations': annotations}
