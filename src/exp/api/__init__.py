"""What `import exp` offers in Python: train, sweep, load, runs, compare."""
