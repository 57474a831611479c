"""Lines of sight of ascending and descending tracks to east and up."""
