"""What a claim is, and the one rule that gives its verdict.

The published number P may have an error e_P, ours O a standard error e_O; a missing error counts as zero. The tolerance
t is e_P, or 5 % of |P| when the paper gives no error.

- not_run: there is no O.
- The claim says `equal`: reproduced if |O - P| <= t and e_O <= t; else within_error if
  |O - P| <= 2 sqrt(e_P^2 + e_O^2); else differs.
- The claim says `at least` (`at most`): reproduced if O lies on that side of P by 2 e_O or more; else within_error
  if it lies on that side, or on the other by at most 2 sqrt(e_P^2 + e_O^2); else differs.

So `within_error` means that the numbers agree only because one of them is not known well.
"""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import pandas as pd

from scaling import tables


NO_ERROR_TOLERANCE = 0.05  # of |P|, where the paper gives no error


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One row of claims.csv but for its verdict; NaN stands for a number that is not there."""

    claim: str
    where: str
    quantity: str
    published: float
    published_err: float = math.nan
    ours: float = math.nan
    ours_err: float = math.nan
    n: int = 0
    source: str
    relation: str = "equal"
    note: str = ""

    @property
    def verdict(self) -> str:
        """reproduced, within_error, differs or not_run, by the rule in this module's head."""
        return verdict(self.relation, self.published, self.published_err, self.ours, self.ours_err)


def verdict(relation: str, published: float, published_err: float, ours: float, ours_err: float) -> str:
    """The rule in this module's head; `relation` is equal, at least or at most. Raises ValueError for another."""
    if relation not in ("equal", "at least", "at most"):
        raise ValueError(f"relation must be equal, at least or at most, got {relation!r}")
    if math.isnan(ours) or math.isnan(published):
        return "not_run"
    tolerance = abs(published) * NO_ERROR_TOLERANCE if math.isnan(published_err) else published_err
    theirs, mine = (0.0 if math.isnan(error) else error for error in (published_err, ours_err))
    both = 2 * math.hypot(theirs, mine)
    if relation == "equal":
        distance = abs(ours - published)
        if distance <= tolerance and mine <= tolerance:
            return "reproduced"
        return "within_error" if distance <= both else "differs"
    margin = ours - published if relation == "at least" else published - ours
    if margin >= 2 * mine:
        return "reproduced"
    return "within_error" if margin >= -both else "differs"


def table(claims: Iterable[Claim]) -> pd.DataFrame:
    """Table `claims`, one row a claim in the order given."""
    columns = list(tables.dictionary()["claims"]["columns"])
    return pd.DataFrame([asdict(claim) | {"verdict": claim.verdict} for claim in claims], columns=columns)
