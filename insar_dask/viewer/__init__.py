"""The explorer: a store as a page of points and series, served here or copied beside the store."""
