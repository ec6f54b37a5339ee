"""The run folder: the one thing that the training half and the reading half share (docs/run-folder.md)."""
