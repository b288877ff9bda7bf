"""Location-only tasks on data that pip installs: what is predicted, from what, by whom, and what came of it."""
