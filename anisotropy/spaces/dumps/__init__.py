"""Embeddings that other programs wrote, opened as spaces without encoding."""
