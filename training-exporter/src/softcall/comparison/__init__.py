"""Prompt tuning beside other ways to the same classifier, on the same rows and steps."""
