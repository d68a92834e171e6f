"""The toy model of superposition: features, model, two engines, training."""
