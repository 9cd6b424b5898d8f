"""What edits are measured on."""
