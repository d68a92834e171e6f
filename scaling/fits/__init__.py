"""Power laws fitted to tables: exponents with all parameters free, confidence intervals, and a status per fit."""
