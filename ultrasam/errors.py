"""Errors that a user can act on: each message names the input, the fault and the remedy."""


class UltraSamError(Exception):
    """Base of every error that UltraSam raises on purpose."""


class ConfigError(UltraSamError, ValueError):
    """A config or a constructor argument that cannot work."""


class CheckpointError(UltraSamError, RuntimeError):
    """A checkpoint that is missing, unsafe, damaged or of another architecture."""


class AnnotationError(UltraSamError, ValueError):
    """An annotation file or one of its records that cannot be used."""


class PromptError(UltraSamError, ValueError):
    """A prompt that means nothing for its image (outside it, inverted, not finite, empty)."""


class InputError(UltraSamError, ValueError):
    """An image, DICOM file, volume or video that cannot be read as asked."""


class OutputError(UltraSamError, RuntimeError):
    """A result that cannot be written where and how it was asked for."""


class SampleError(UltraSamError, RuntimeError):
    """A sample of a data set that cannot be loaded in the course of a run."""


class TrainingError(UltraSamError, RuntimeError):
    """A run that cannot go on: losses that are not finite, memory that runs out, a data worker that died."""
