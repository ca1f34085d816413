"""Make VOTables: documents of a table with ids and positions."""

from pathlib import Path

FIELDS = """<FIELD name="id" datatype="long"/>
<FIELD name="ra" datatype="double" unit="deg" ucd="pos.eq.ra"/>
<FIELD name="dec" datatype="double" unit="deg" ucd="pos.eq.dec"/>"""
OK = '<INFO name="QUERY_STATUS" value="OK"/>'


def rows(count: int = 3, first: int = 0) -> str:
    return "".join(
        f"<TR><TD>{n}</TD><TD>{10 + n}</TD><TD>5</TD></TR>" for n in range(first, first + count)
    )


def table(fields: str = FIELDS, data: str = "", attributes: str = "") -> str:
    data = data or f"<TABLEDATA>{rows()}</TABLEDATA>"
    return f"<TABLE {attributes}>{fields}<DATA>{data}</DATA></TABLE>"


def document(*parts: str, before: str = OK, name: str = "VOTABLE") -> str:
    body = f'<RESOURCE type="results">{before}{"".join(parts)}</RESOURCE>'
    namespace = "http://www.ivoa.net/xml/VOTable/v1.3"
    return f'<?xml version="1.0"?>\n<{name} version="1.4" xmlns="{namespace}">{body}</{name}>'


def write(tmp_path: Path, text: str | bytes, name: str = "rows.vot") -> Path:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path
