"""The study of CSP on data that pip installs: its methods and cells, how they run, and its tables."""
