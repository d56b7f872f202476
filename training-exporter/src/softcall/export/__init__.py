"""The export of a base: traced with PyTorch, or filled from a kept graph without it."""
