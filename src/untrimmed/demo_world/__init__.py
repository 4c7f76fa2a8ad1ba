"""The untrimmed videos that the demo draws for itself."""
