"""The settings of a training run; light enough for the command line's help."""
