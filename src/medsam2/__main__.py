"""`python -m medsam2`: the command, where its script is not on the path."""

from medsam2.cli.app import main

if __name__ == "__main__":
    main()
