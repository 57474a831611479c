"""Tiles forecast as maps: the published MM-STT and its rivals, as printed and without their leaks."""
