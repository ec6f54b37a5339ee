"""exp's promises as tests for parts from anywhere; this repository's own tests use them too. Needs pytest."""

from exp.testing.suites import AdapterSuite, OptionSuite, PartSuite, TrackerSuite

__all__ = ["AdapterSuite", "OptionSuite", "PartSuite", "TrackerSuite"]
