"""Generated recordings whose truth is known, in the file formats of the real ones."""
