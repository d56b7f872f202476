"""What a training run can be told; light enough for the command line's help."""
