"""One reader per dataset; every one writes the same prepared format."""
