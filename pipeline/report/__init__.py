"""`stylebeam report`: one page about a finished grid, for people who will not browse it."""
