"""Pictures of prompts, predictions and ground truth."""
