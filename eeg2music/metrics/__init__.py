"""Pure functions on arrays that say how good something is. They read no files and know no model."""
