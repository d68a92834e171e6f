"""Claims that the loss under weak superposition is that of the features that are not represented (Eq. 4)."""

from scaling.claims import toy
from scaling.claims.registry import RATIO, Result, claim
from scaling.claims.study import Study
from scaling.claims.widths import READS, as_drawn, at_every_width, regime


@claim(
    id="toy.weak_loss",
    text="weak superposition: the loss is that of the features that are not represented",
    origin="statement",
    where="Eq. 4, Fig. 5a",
    quantity="loss / sum of 4/3 p - p^2 over features with norm <= 1/2, at the width farthest from 1",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=READS,
    how_to_run=toy.TRAIN,
)
def weak_loss(study: Study) -> list[Result]:
    """Features are counted by their norms, not by the formula with the m most frequent ones."""
    return at_every_width(
        regime(study, "weak"), lambda rows: rows["loss"] / rows["loss_unlearned"], "loss over prediction", 1.0
    )


@claim(
    id="toy.weak_loss_figure",
    text="weak superposition: loss over predicted loss is as drawn",
    origin="figure",
    where="Fig. 5a",
    quantity="loss / prediction, ours over the figure, at the width farthest from 1, alpha = 0",
    expected=1.0,
    expected_kind="published",
    delta=RATIO,
    tables=READS,
    how_to_run=toy.TRAIN_PAPER,
)
def weak_loss_figure(study: Study) -> list[Result]:
    """Fig. 5a at every gamma > 0 that was trained with alpha = 0."""
    points = study.published("fig5a_loss_vs_unlearned_alpha0", ["loss_by_unlearned", "loss", "gamma", "m"])
    points = points.assign(value=points["loss"] / points["loss_by_unlearned"])
    models = regime(study, "weak")
    models = models[models["alpha"] == 0]
    return as_drawn(models.assign(ratio=models["loss"] / models["loss_unlearned"]), points, "ratio")
