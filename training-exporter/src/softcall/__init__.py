"""Soft prompts: train them, export the frozen base, publish them."""

__version__ = "0.1.0"
