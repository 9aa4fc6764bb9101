"""The names of the files of a tokenizer, and of the special tokens in them."""

from __future__ import annotations

from kbert.text.vocabulary import CLS, MASK, PAD, SEP, UNK

VOCABULARY_FILE = "vocab.txt"
CONFIG_FILE = "tokenizer_config.json"
TOKENIZER_FILE = "tokenizer.json"
ADDED_TOKENS_FILE = "added_tokens.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
MODEL_CONFIG_FILE = "config.json"
"""The configuration of the model; some folders name the class of the tokenizer only there."""

NORMALIZATION_KEY = "kbert_normalization"
"""The key of tokenizer_config.json for a normalization that is not BERT's. Transformers keeps it without using it."""

SPECIAL_TOKEN_KEYS = {
    "pad_token": PAD,
    "unk_token": UNK,
    "cls_token": CLS,
    "sep_token": SEP,
    "mask_token": MASK,
}
"""The keys of the special tokens in tokenizer_config.json and special_tokens_map.json."""
