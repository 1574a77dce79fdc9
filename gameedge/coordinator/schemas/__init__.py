"""What the HTTP API takes and gives: msgspec types, from which the OpenAPI document is made. Bounds are in the types."""
