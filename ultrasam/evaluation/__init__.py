"""How well masks answer prompts."""
