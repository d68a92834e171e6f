"""Attention as clustering: one kernel, the systems that it carries, and its repulsive counterpart in superposition."""
