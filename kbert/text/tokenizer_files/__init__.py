"""The files of a tokenizer, as Hugging Face Transformers reads and writes them."""
