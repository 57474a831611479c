"""Moving areas as chunk jobs: found tile by tile, joined over seams, told by their evidence."""
