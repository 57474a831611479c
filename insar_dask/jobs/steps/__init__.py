"""What a run does to a store: reading, saving, patterns, tiles, tracks that meet, newer dates, alarms."""
