"""The base model: where it comes from, which architectures are accepted, and its bundle on disk."""
