"""What is said of a run: events, the board made of them, the history in the store, and who looks at it."""
