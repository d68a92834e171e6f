"""The checked config, and the jobs that the Snakefile derives from it."""
