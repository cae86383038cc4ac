"""How a page is written: folders, escaping, sheets, units."""
