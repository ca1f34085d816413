"""Translate the types of catalogues to those of SIMBAD: one vocabulary for all classes.

SIMBAD's condensed types as of 2022-07, https://simbad.cds.unistra.fr/guide/otypes.htx. A type that
is not known here counts as none and never becomes a class. (SIMBAD's own types stay as they are,
also those that it adds later.)
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from catalogs.description import TypeWords

_GALAXIES: Final = "G LSB bCG SBG H2G EmG GiP GiG GiC BiC IG PaG G?"
GALAXIES: Final = frozenset(_GALAXIES.split())
"""Galaxies that do not vary by themselves, so that an alert there may be of an object in them.
Active ones (AGN, SyG, Sy1, Sy2, rG, LIN, QSO, Bla, BLL) vary, and each is a class of its own."""

_SAYS_LITTLE: Final = (
    "* ** V* Ir* Em* PM* HV* Cl* As* ev Rad mR cm mm smm HI IR FIR MIR NIR Opt EmO blu UV X gam"
)
SAYS_LITTLE: Final = frozenset(_SAYS_LITTLE.split())
"""Types that name the light or the catalogue in which a source was seen, and hardly what it is."""

NOTHING: Final = frozenset(("", "?", "Unknown"))

_BY_SIMBAD: Final[Mapping[str, str]] = {
    # Eruptive.
    "Or*": "FU IN INA INB INS INSA INSB INST INAT EXOR",
    "TT*": "INT IT TTS CTTS WTTS",
    "Ae*": "UXOR",
    "Y*O": "YSO",
    "Ir*": "I IA IB IS ISA ISB",
    "Be*": "GCAS BE",
    "Er*": "UV UVN",
    "RC*": "RCB DYPER",
    "RS*": "RS",
    "WR*": "WR",
    "s*b": "SDOR",
    # Pulsating.
    "RR*": "RR RRAB RRC RRD RRA RRB RRB01",
    "cC*": "DCEP DCEPS",
    "WV*": "CW CWA CWB CWBS",
    "Ce*": "CEP ACEP",
    "dS*": "DSCT DSCTC HADS",
    "bC*": "BCEP BCEPS",
    "RV*": "RV RVA RVB",
    "LP*": "L LB LC LPV SR SRA SRB SRC SRD SRS",
    "Mi*": "M",
    "SX*": "SXPHE SXPXE",
    "gD*": "GDOR",
    "WD*": "ZZ ZZA ZZB ZZO",
    "Pu*": "ACYG LPB SPB PVTEL RPHS BLBOO PULS",
    # Rotating.
    "a2*": "ACV ACVO SXARI",
    "Ro*": "R FKCOM ROT",
    "BY*": "BY",
    "El*": "ELL",
    "Psr": "PSR",
    # Cataclysmic.
    "No*": "N NA NB NAB NC NR",
    "CV*": "UG UGSS UGSU UGWZ UGER UGZ NL AM DQ CV",
    "SN*": "SN SNI SNII",
    "Sy*": "ZAND",
    # Eclipsing.
    "EB*": "E EA EB EW EC EP ED ESD",
    # X-ray binaries.
    "XB*": "X XB XF XI XJ XM XN XND XNDR XNG XNGP XP XPM XPNG XPR XPRM XR XBI XBN XBND XBPR",
    # Not stars.
    "QSO": "QSO",
    "BLL": "BLLAC",
    "AGN": "GAL AGN",
    # Variable, and no more is known.
    "V*": "* S VAR MISC APER PER",
    # Not variable: in the catalogue by mistake.
    "*": "CST",
}
_GCVS: Final = {name: simbad for simbad, names in _BY_SIMBAD.items() for name in names.split()}
"""Types of the GCVS, http://www.sai.msu.su/gcvs/gcvs/vartype.htm, and those of VSX beside them,
https://www.aavso.org/vsx/index.php?view=about.vartypes."""

_FERMI_LAC: Final[Mapping[str, str]] = {
    "bll": "BLL",
    "fsrq": "Bla",
    "bcu": "Bla",
    "rdg": "rG",
    "agn": "AGN",
    "css": "AGN",
    "sey": "SyG",
    "nlsy1": "Sy1",
    "ssrq": "QSO",
}
"""Classes of 4LAC-DR3 (Ajello et al. 2022, ApJS 263, 24); capitals there mean that the gamma rays
certainly come from the source."""


def simbad_type(words: TypeWords, text: str | None) -> str | None:
    """Return the type of SIMBAD for a catalogue's type; None if there is none.

    Parameters
    ----------
    words
        the vocabulary of the catalogue, as `[types] words` of its description names it
    text
        the catalogue's type
    """
    stripped = (text or "").strip()
    return None if stripped in NOTHING else _READERS[words](stripped)


def _of_simbad(text: str) -> str | None:
    return text


def _of_gcvs(text: str) -> str | None:
    """Return the first known type of `EA/SD+DSCT:`; a star may be of several types at once.

    A colon means "not sure"; what follows a slash or stands in brackets is a detail; VSX writes
    `|` for "or".
    """
    for component in re.split(r"[+|]", text):
        main = re.split(r"[/(]", component)[0].strip(" :")
        if main in _GCVS:
            return _GCVS[main]
    return None


def _of_fermi_lac(text: str) -> str | None:
    return _FERMI_LAC.get(text.lower())


_READERS: Final[Mapping[TypeWords, Callable[[str], str | None]]] = {
    "simbad": _of_simbad,
    "gcvs": _of_gcvs,
    "vsx": _of_gcvs,
    "4lac": _of_fermi_lac,
}
