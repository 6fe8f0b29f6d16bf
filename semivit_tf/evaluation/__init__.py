"""How good is a model, and did the unlabelled images help? Numbers and tables."""
