"""One thread for every library, in tests and in the commands that they start: tiny arrays gain nothing from more."""

import os


for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ.setdefault(name, "1")
