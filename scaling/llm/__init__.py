"""Language models: their heads read from the Hub, and the geometry of the rows."""
