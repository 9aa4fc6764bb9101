"""The description of an adapter, as the option `adapter` gives it: "lora:r=8,alpha=16,targets=query+value"."""

from __future__ import annotations

import dataclasses
import math

KINDS = ("lora", "bottleneck", "bitfit")
TARGETS = ("query", "key", "value", "attention_output", "intermediate", "output")
"""The projections of a block that LoRA can adapt, by the names of `kbert.model_folder.parts.PARTS`."""

_DEFAULT_RANK, _DEFAULT_TARGETS, _DEFAULT_REDUCTION = 8, ("query", "value"), 16


@dataclasses.dataclass(frozen=True)
class AdapterSpec:
    """The description of an adapter.

    Args:
        kind: "lora" (low-rank matrices are added to kernels, arXiv 2106.09685), "bottleneck" (two narrow layers in each
            block, arXiv 1902.00751) or "bitfit" (only biases are trained, arXiv 2106.10199).
        rank: The rank r of LoRA's matrices; 0 for other kinds.
        alpha: LoRA's factor α. The product of the matrices is multiplied by α / r.
        targets: The projections of each block that LoRA adapts, in the order of `TARGETS`.
        reduction: The hidden size of the model divided by the width of bottleneck adapters; 0 for other kinds.
    """

    kind: str
    rank: int = 0
    alpha: float = 0.0
    targets: tuple[str, ...] = ()
    reduction: int = 0

    @classmethod
    def parse(cls, text: str) -> AdapterSpec:
        """Returns the description that a text gives.

        Args:
            text: The kind, and after a colon its settings: "lora", "lora:r=4,targets=query+key+value", "bottleneck:16"
                or "bitfit". LoRA has r=8, alpha=2r and targets=query+value by default, and bottleneck has 16.

        Raises:
            ValueError: The text is invalid. The message continues a sentence that begins with the name of the option.

        Example:
            >>> AdapterSpec.parse("lora:r=4")
            AdapterSpec(kind='lora', rank=4, alpha=8.0, targets=('query', 'value'))
        """
        kind, colon, rest = text.partition(":")
        if kind == "prefix":
            raise ValueError(f"must begin with one of {', '.join(KINDS)}, because kbert has no prefix tuning")
        if kind not in KINDS:
            raise ValueError(f"must begin with one of {', '.join(KINDS)}")
        if kind == "bottleneck":
            number = rest if colon else str(_DEFAULT_REDUCTION)
            if not number.isdecimal() or int(number) < 1:
                raise ValueError(
                    "must have a whole number of at least 1 after bottleneck:, by which the hidden size is divided"
                )
            return cls(kind, reduction=int(number))
        if kind == "bitfit":
            if colon:
                raise ValueError(f"must be {kind} alone, because {kind} has no settings")
            return cls(kind)
        settings: dict[str, str] = {}
        for item in rest.split(",") if rest else ():
            name, equals, value = item.partition("=")
            if name not in ("r", "alpha", "targets") or not equals or name in settings:
                raise ValueError("must give lora the settings r, alpha and targets, as in lora:r=8,alpha=16,"
                                 "targets=query+value")  # fmt: skip
            settings[name] = value
        rank = settings.get("r", str(_DEFAULT_RANK))
        if not rank.isdecimal() or int(rank) < 1:
            raise ValueError("must have a whole number of at least 1 as r")
        alpha = _number(settings.get("alpha", str(2 * int(rank))))
        if alpha is None:
            raise ValueError("must have a number above 0 as alpha")
        targets = settings["targets"].split("+") if "targets" in settings else list(_DEFAULT_TARGETS)
        if any(target not in TARGETS for target in targets) or len(set(targets)) < len(targets):
            raise ValueError(f"must have targets from {', '.join(TARGETS)}, joined by +")
        return cls(kind, int(rank), alpha, tuple(target for target in TARGETS if target in targets))

    def bottleneck_size(self, hidden_size: int) -> int | None:
        """Returns the width of the bottleneck adapters; None for other kinds.

        Args:
            hidden_size: The hidden size of the model.
        """
        return max(1, hidden_size // self.reduction) if self.kind == "bottleneck" else None


def _number(text: str) -> float | None:
    """Returns a positive number, or None if the text is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value > 0 else None
