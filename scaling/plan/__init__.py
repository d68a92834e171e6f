"""What a config asks for: the checked config, and the catalogues of jobs that the Snakefile makes of it."""
