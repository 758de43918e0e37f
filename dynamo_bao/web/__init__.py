"""The common parts of the integrations with web frameworks: a request's session, tenant, figures and trace."""
