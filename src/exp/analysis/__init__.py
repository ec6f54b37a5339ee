"""Reads what runs left and sets it side by side. Never imports torch, transformers or datasets."""
