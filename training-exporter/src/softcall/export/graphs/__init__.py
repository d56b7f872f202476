"""Trunk graphs: traced from a model, and rewritten for each precision."""
