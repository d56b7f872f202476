"""The weights of trunk graphs, for each precision."""
