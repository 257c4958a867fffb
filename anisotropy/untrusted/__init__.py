"""Files from elsewhere: read without executing anything, sizes checked before memory is taken."""
