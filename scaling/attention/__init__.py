"""Attention as clustering: one kernel, systems built on it, and its repulsive counterpart in superposition."""
