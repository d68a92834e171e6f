"""The family of language models trained here: its corpus, tokenizer, members, training and table."""
