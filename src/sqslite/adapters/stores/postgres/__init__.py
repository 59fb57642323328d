"""PostgreSQL: the store for production, shared by as many nodes as there are."""
