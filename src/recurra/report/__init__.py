"""All drawing: the pictures of a run, and the page that shows it."""
