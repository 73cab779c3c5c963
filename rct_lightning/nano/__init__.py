"""The bundled base model `nano`: its narrative grammar and its pre-training recipe."""
