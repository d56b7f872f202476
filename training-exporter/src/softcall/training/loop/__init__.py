"""The training loop: batches, steps, scores, and what a run keeps of them."""
