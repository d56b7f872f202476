"""Soft prompts: train them, export the frozen base, publish them."""
