"""What the predictions of runs say beyond their scores: tests over examples, slices, calibration."""
