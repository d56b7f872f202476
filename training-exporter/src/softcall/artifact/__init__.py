"""The task artifact: its tensors and metadata, its bounds, and the parts that it is made of."""
