"""Moving ground as polygons: found on maps of motion, told by evidence, followed over the years."""
