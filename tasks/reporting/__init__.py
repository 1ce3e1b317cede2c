"""The self-contained page of an evaluation or a study."""
