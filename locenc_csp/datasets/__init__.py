"""Tables of places, their splits, and the data set that everyone can build."""
