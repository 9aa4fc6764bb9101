"""The tokenizer inside a LiteRT model, so that an app passes code points and needs no tokenizer of its own."""
