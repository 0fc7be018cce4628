"""The command ``ultrasam``."""
