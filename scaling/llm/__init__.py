"""Language models: reading checkpoints, a family trained here, and measurements of heads, losses and tokens."""
