"""What operators do to a running gateway, without HTTP: who may, what there is, what changes."""
