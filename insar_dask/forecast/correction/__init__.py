"""The network that corrects linear forecasts by what neighbours do, inputs and training included."""
