"""Read one matrix of a checkpoint: from a folder or by byte ranges from the Hub, without loading the model."""
