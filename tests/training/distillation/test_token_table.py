import numpy as np

from kbert.training.distillation.token_table import narrower_table


def test_similar_tokens_stay_similar():
    table = np.zeros((4, 6), np.float32)
    table[0, 0] = table[1, 0] = 3.0
    table[1, 1], table[2, 2], table[3, 3] = 0.1, 3.0, 3.0
    narrow = narrower_table(table, 2, 0.05)
    distances = np.linalg.norm(narrow[0] - narrow[1:], axis=1)
    assert distances[0] < 0.1 * distances[1:].max()
    assert narrow.dtype == np.float32
    assert narrow.std() == np.float32(0.05) or abs(narrow.std() - 0.05) < 1e-6


def test_a_wider_student_gets_zeros():
    narrow = narrower_table(np.eye(3, 2, dtype=np.float32), 4, 0.02)
    assert narrow.shape == (3, 4)
    assert not narrow[:, 2:].any()
