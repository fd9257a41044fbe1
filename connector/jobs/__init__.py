"""Background work: the engine, its schedule and the table from work to journey."""
