"""Results as files: pictures, masks, COCO, NIfTI and a table of measurements."""

from ultrasam.io.writers.writer import FORMATS, ResultWriter

__all__ = ['FORMATS', 'ResultWriter']
