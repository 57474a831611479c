"""Other people's files to cubes: one module per format, one file per cube."""
