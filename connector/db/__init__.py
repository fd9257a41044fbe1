"""Tables and the repositories that read and write them, always bound to one merchant."""
