"""The prompts of an embedding model: texts such as "query: " that are put before others."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TypeVar

import tensorflow as tf

from kbert.errors import UsageError, shown
from kbert.tasks.protocol.objective import Tensors

PromptsT = TypeVar("PromptsT", bound="Prompts")  # typing.Self needs Python 3.11


class Prompts:
    """The part of an embedding task that puts prompts before texts."""

    prompts: Mapping[str, str]
    """The prompts of the model, by name."""
    prompt: str
    """The text that is put before each text."""
    pair_prompt: str
    """The text that is put before pairs and negatives in files."""
    include_prompt: bool
    """Whether the pooling includes the tokens of a prompt."""

    def with_prompt(
        self: PromptsT, prompt: str | None, prompt_name: str | None = None, pair_prompt: str | None = None
    ) -> PromptsT:
        """Returns the task with other prompts.

        Args:
            prompt: The prompt of all texts; None keeps the present prompts.
            prompt_name: The name of one of the model's prompts, instead of `prompt`.
            pair_prompt: The prompt of pairs and negatives, if it differs from `prompt`.

        Raises:
            UsageError: The arguments contradict each other, the model has no prompt of that name, or it excludes
                prompts from the pooling.
        """
        if prompt is not None and prompt_name is not None:
            raise UsageError("expected prompt or prompt_name; leave one out. Received: both")
        if prompt_name is not None:
            prompt = self.named_prompt(prompt_name)
        task = copy.copy(self)
        if prompt is not None:
            task.prompt = task.pair_prompt = prompt
        if pair_prompt is not None:
            task.pair_prompt = pair_prompt
        task.check_prompts()
        return task

    def check_prompts(self) -> None:
        """Checks that the model includes its prompts in the pooling.

        Raises:
            UsageError: It excludes them, and there is a prompt.
        """
        if not self.include_prompt and (self.prompt or self.pair_prompt):
            raise UsageError(
                "the model excludes its prompts from the pooling (include_prompt), which kbert does not compute; give "
                'an empty prompt: --prompt "" (in Python prompt="")'
            )

    def named_prompt(self, name: str) -> str:
        """Returns the text of one of the model's prompts.

        Raises:
            UsageError: The model has no prompt of that name.
        """
        if name not in self.prompts:
            has = f"it has {', '.join(map(shown, self.prompts))}" if self.prompts else "it has none"
            raise UsageError(f"the model has no prompt of that name; {has}. Received: prompt_name={shown(name)}")
        return self.prompts[name]

    def add_prompts(self, inputs: Tensors) -> Tensors:
        """Returns the texts with the prompt before each."""
        return {"text": tf.strings.join([self.prompt, inputs["text"]])} if self.prompt else inputs
