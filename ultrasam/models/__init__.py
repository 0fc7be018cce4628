"""The model: image encoder, prompt encoder, two-way transformer, mask head, and the detector that joins them."""

from .detector import UltraSam
from .image_encoder import SamImageEncoder
from .mask_head import SamMaskHead
from .prompt_encoder import SamPromptEncoder
from .two_way_transformer import SamTwoWayTransformer

__all__ = ['SamImageEncoder', 'SamMaskHead', 'SamPromptEncoder', 'SamTwoWayTransformer', 'UltraSam']
