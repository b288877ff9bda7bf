"""The commands of ``locenc``: each file adds its options to the parser, and imports what is heavy when it runs."""
