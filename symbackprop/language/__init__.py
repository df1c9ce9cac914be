"""The equation language: text to tokens to a syntax tree to a model, and a model back to text."""
