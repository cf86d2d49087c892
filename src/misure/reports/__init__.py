"""Everything drawn or printed for people: pictures, the report page, result folders."""
