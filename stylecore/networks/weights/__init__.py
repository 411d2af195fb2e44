"""Where backbone weights come from, and what is checked before they are used."""
