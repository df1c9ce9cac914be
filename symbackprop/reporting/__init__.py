"""Everything about a model in one document."""
