"""Our model in the forms that other software reads."""

from ultrasam.export.engine import TARGETS, export_checkpoint, record_file
from ultrasam.export.onnx_files import DEFAULT_OPSET
from ultrasam.export.record import RECORD_NAME, summary

__all__ = ['DEFAULT_OPSET', 'RECORD_NAME', 'TARGETS', 'export_checkpoint', 'record_file', 'summary']
