"""The results of the documents' experiments, and what writes their pages."""
