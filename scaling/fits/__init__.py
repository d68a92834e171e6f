"""Power laws fitted to tables: exponents with all parameters free, an interval that covers, and a status each."""
