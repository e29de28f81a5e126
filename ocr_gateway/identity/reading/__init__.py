"""Fields of identity documents out of lines that an engine has read: no models, nothing but text and places."""
