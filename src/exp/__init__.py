"""exp: fine-tuning experiments that other people can trust."""

__version__ = "0.1.0"
