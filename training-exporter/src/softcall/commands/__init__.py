"""One module per command line command; heavy libraries are imported inside the functions that need them."""
