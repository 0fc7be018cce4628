"""Self-attention of the image encoder: one function, and the ways to compute it where it runs."""

from .window_attention import WindowAttention

__all__ = ['WindowAttention']
