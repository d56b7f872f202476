"""Answers and scores: a classifier in PyTorch, a running server, and what their labels are worth."""
