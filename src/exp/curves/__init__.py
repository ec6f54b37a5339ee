"""The rules that read a learning curve, and its picture: pure, below both wings (docs/curves.md)."""
