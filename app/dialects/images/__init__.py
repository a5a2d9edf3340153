"""The Images API, said in Responses and back."""
