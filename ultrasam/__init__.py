"""UltraSam: promptable segmentation for ultrasound.

Importing this package is cheap: no deep-learning library is loaded.  Import
``ultrasam.registry`` to register every model, transform, hook and visualizer
with mmdet; configs do so through ``custom_imports``.
"""

__version__ = '0.1.0'
