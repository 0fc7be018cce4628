"""Tools on COCO files; nothing here loads a deep-learning library."""
