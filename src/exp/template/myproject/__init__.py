"""Parts of my own for exp."""
