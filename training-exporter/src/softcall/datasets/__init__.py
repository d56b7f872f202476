"""Labelled texts: files and folders of rows, their columns, and checks before training."""
