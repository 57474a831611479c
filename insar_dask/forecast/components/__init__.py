"""The published system as a forecaster: a network for each component and pattern of motion, trained without leaks."""
