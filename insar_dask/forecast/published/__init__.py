"""The published system for thaw slumps (doi:10.3390/rs16111891): as printed, and without its leaks."""
