"""The formats that catalogues come in: one module for each.

Each reads a file piece by piece as Arrow tables and reports what the file declares of its columns
(`catalogs.formats.table_file`). What the declarations mean beside a description is decided in
`catalogs.declarations`, what a column may hold in `catalogs.columns`: once, for all formats.
"""
