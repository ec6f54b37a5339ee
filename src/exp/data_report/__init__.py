"""A data set as a model would be shown it, looked at before any training: exp data. Loads no weights and no torch."""
