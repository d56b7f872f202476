"""Training: a prompt is learnt from labelled texts and becomes an artifact."""
