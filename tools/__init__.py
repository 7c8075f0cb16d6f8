"""Tools that accompany the daemon and share no code with it."""
