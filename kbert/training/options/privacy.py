"""The options of training with differential privacy."""

from __future__ import annotations

import dataclasses

from kbert.options import Options, option_infos
from kbert.training.options.sections import class_error, privacy_option


@dataclasses.dataclass(frozen=True, kw_only=True)
class PrivacyOptions(Options):
    """The options of training with differential privacy."""

    private: float | None = privacy_option(
        None,
        "Train with differential privacy of this epsilon for each training row, such as 3 or 8; smaller is more "
        "private. The default number of epochs is 10 then.",
        details="The noise that this needs is computed before training. See docs/differential-privacy.md for what "
        "epsilon covers and what it does not.",
        above=0,
        metavar="EPSILON",
    )
    delta: float | None = privacy_option(
        None,
        "The delta of `private`: roughly the probability that epsilon does not hold. It must be below 1 / rows.",
        above=0,
        below=1,
        default_help="1 / rows^1.1",
    )
    clip: float | None = privacy_option(
        None,
        "The norm to which `private` scales down the gradient of each row.",
        above=0,
        default_help="3.0",
    )
    draw_size: int | None = privacy_option(
        None,
        "The mean number of rows that a step of `private` draws. They are computed in batches of `batch_size` rows.",
        minimum=1,
        default_help="1,024, or an eighth of the rows if these are fewer than 8,192",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.private is None:
            given = next((name for name in ("delta", "clip", "draw_size") if getattr(self, name) is not None), None)
            if given is not None:
                raise class_error(
                    self,
                    lambda spell: (
                        f"{spell(given)} needs {spell('private')}, an epsilon. "
                        f"Received: {spell(given, getattr(self, given))}"
                    ),
                )
            return
        for name, reason in _REFUSED.items():
            value = getattr(self, name, None)
            if value is not None and value != option_infos(type(self))[name].default:
                raise class_error(
                    self,
                    lambda spell, name=name, value=value, reason=reason: (
                        f"{spell('private')} {reason}; leave {spell(name)} out. Received: {spell(name, value)}"
                    ),
                )
        if self.strategy not in ("auto", "one"):  # type: ignore[attr-defined]
            raise class_error(
                self,
                lambda spell: (
                    f"{spell('private')} trains on one device; give {spell('strategy', 'one')}. "
                    f"Received: {spell('strategy', self.strategy)}"  # type: ignore[attr-defined]
                ),
            )


_REFUSED = {
    "augment": "counts each row once, and copies of a row would count several times",
    "synonyms": "counts each row once, and copies of a row would count several times",
    "find_learning_rate": "does not show training losses, which the search for a learning rate compares",
    "precision": "needs float32, in which the norms of gradients are exact",
    "remat": "needs the activations of all layers",
    "accumulation": "divides each draw into batches of the batch size anyway",
}
"""The options that a private run does not have, with a reason that continues "private"."""
