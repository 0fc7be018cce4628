"""COCO files of any size, read by an index."""
