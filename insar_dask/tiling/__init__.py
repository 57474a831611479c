"""Maps of square cells out of scattered points, and the way back."""
