"""Superposition scaling: toy models, language-model heads, fits and figures (Liu, Liu, Gore; NeurIPS 2025)."""
