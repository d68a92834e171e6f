"""The exact bigram language model: next-token prediction from one token through m dimensions, with a known floor."""
