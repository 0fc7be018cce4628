"""Pictures of prompts, predictions and ground truth."""

from ultrasam.visualization.prompt_visualizer import PromptVisualizer

__all__ = ['PromptVisualizer']
