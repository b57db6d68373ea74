"""From prompts to masks in every slice."""
