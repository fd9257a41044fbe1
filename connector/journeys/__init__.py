"""One walk through the product a file: each is a verb and takes the wiring first."""
