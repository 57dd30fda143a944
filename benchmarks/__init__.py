"""How fast the layers are: `make bench`."""
