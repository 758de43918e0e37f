"""What the integrations with web frameworks share: a session for each request, its tenant, its figures, its trace."""
