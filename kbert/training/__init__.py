"""The training loop, and the two trainings made of it: pretraining and fine-tuning."""

from kbert.runtime.onednn import use_onednn

use_onednn()  # before any module of this package imports TensorFlow
