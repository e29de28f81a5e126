"""What a page looks like, measured on a reduced grey picture of it: a module a measure, all of them pure."""
