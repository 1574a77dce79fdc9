"""Players' sockets: two shells that only move data (`picows_shell`, `websockets_shell`) behind one contract (`base`)."""
