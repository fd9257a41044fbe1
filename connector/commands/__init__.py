"""What operators ask for, one group of commands a file; connector/cli.py joins them."""
