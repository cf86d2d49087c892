"""For which share of all baseline images a region answers its question."""
