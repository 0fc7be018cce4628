"""The name that configs of earlier versions import; the classes are registered by ``ultrasam.openmmlab.registry``."""

import ultrasam.openmmlab.registry  # noqa: F401
