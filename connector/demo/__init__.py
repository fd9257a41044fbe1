"""The demonstration: the product and little upstreams in one process tree, and a check that walks its main job."""
