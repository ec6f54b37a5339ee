"""Paper tables as data: what they say, which runs they need, what those runs say beside the published numbers."""
