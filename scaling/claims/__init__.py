"""The paper's claims against our tables: each one a row of `claims.csv`, its verdict computed by one rule."""
