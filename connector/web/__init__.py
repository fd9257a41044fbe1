"""What every door shares: security headers, sessions, errors, language and health."""
