"""The training loop: learners, their steps and scores, and what a run keeps of them."""
