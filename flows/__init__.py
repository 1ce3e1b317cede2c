"""What runs, whole: the flows, the catalogue of studies and the command line."""
