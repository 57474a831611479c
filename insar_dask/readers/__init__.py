"""Other people's files to cubes."""
