"""Reports: text, tables, figures and a page of what an analysis found."""
