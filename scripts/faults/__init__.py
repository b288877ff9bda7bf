"""Jobs that are killed at random moments and continued end in the bits of an undisturbed run, or this tells."""
