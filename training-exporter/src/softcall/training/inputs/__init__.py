"""What a run trains on: rows, their token ids, and the batch of each step."""
