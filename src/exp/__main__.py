"""python -m exp: as the console script `exp`."""

from exp.cli import main

main()
