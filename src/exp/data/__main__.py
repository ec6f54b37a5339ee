"""python -m exp.data: see exp.data_report.command."""

from exp.data_report.command import main

if __name__ == "__main__":
    main()
