"""What all doors share: security, sessions, errors, health, logs, and how pages look."""
