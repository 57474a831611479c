"""A newer product beside an older one: which points and dates they share, and whether one goes on with the other."""
