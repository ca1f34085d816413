"""From the types that catalogues give to SIMBAD's: one vocabulary for all classes.

SIMBAD's condensed types as of 2022-07, https://simbad.cds.unistra.fr/guide/otypes.htx. A type that
is not known here is none: it never becomes a class by itself. (Those of SIMBAD itself stay as they
are, also those that it will invent.)
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from catalogs.description import TypeWords

_GALAXIES: Final = "G LSB bCG SBG H2G EmG GiP GiG GiC BiC IG PaG G?"
GALAXIES: Final = frozenset(_GALAXIES.split())
"""Galaxies that do not change by themselves, so an alert there may be of something in them. Active
ones (AGN, SyG, Sy1, Sy2, rG, LIN, QSO, Bla, BLL) do, and each is a class of its own."""

_SAYS_LITTLE: Final = (
    "* ** V* Ir* Em* PM* HV* Cl* As* ev Rad mR cm mm smm HI IR FIR MIR NIR Opt EmO blu UV X gam"
)
SAYS_LITTLE: Final = frozenset(_SAYS_LITTLE.split())
"""Types that say in which light or catalogue something was seen, and hardly what it is."""

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
    # No stars after all.
    "QSO": "QSO",
    "BLL": "BLLAC",
    "AGN": "GAL AGN",
    # Variable, and no more is known.
    "V*": "* S VAR MISC APER PER",
    # Not variable, so held to be by mistake.
    "*": "CST",
}
_GCVS: Final = {name: kind for kind, names in _BY_SIMBAD.items() for name in names.split()}
"""Types of the GCVS, http://www.sai.msu.su/gcvs/gcvs/vartype.htm, and what VSX has beside them,
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
are sure to come from it."""


def simbad_type(words: TypeWords, text: str | None) -> str | None:
    """The type of SIMBAD that a catalogue's word stands for; None if it says nothing.

    Parameters
    ----------
    words
        whose word it is, as `[types] words` of the catalogue's description says
    text
        the word
    """
    stripped = (text or "").strip()
    return None if stripped in NOTHING else _READERS[words](stripped)


def _of_simbad(text: str) -> str | None:
    return text


def _of_gcvs(text: str) -> str | None:
    """Of `EA/SD+DSCT:` the first that is known: a star may be of several types at once.

    A colon means "not sure", what follows a slash or stands in brackets only tells more, and
    VSX has `|` for "or".
    """
    for part in re.split(r"[+|]", text):
        main = re.split(r"[/(]", part)[0].strip(" :")
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
