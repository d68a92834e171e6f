"""Pictures from tables: every figure reads tables alone, never a model and never the config."""
