"""The fields of a ZTF alert: names, types and order as the survey sends them.

Names, types and order are those in the headers of public packets; the descriptions are our own. A
type with `?` may be null, and is null by default; a type with `?!` may be null and has no default.
Magnitudes are AB, angles degrees (J2000), pixels are about 1.012 arcsec wide.
"""

from sim.avro_rows import FieldSpec


def _table(text: str) -> tuple[FieldSpec, ...]:
    rows = (line.split(maxsplit=2) for line in text.strip().splitlines())
    return tuple(FieldSpec(name, avro_type, doc) for name, avro_type, doc in rows)


CANDIDATE = _table("""
jd              double  Julian date at which the exposure began (UTC), in days
fid             int     Filter of the exposure: 1 is g, 2 is r, 3 is i
pid             long    Number of the processed science image: night, time, quadrant
diffmaglim      float?  Faintest magnitude that reaches 5 sigma in the difference image
pdiffimfilename string? File name of the difference image, science minus reference
programpi       string? Name of the person who leads the observing programme
programid       int     Observing programme: 1 is public, 2 partnership, 3 Caltech
candid          long    Number of this detection, unique: image number, sign and place
isdiffpos       string  t if the source is brighter than in the reference image, f if fainter
tblid           long?   Running number of the detection in the pipeline's own table
nid             int?    Number of the night, counted from 1 January 2017
rcid            int?    Readout channel of the camera, 0 to 63: four to each detector
field           int?    Number of the field in the survey's grid on the sky
xpos            float?  Position along the first axis of the image, in pixels
ypos            float?  Position along the second axis of the image, in pixels
ra              double  Right ascension of the detection, J2000, in degrees
dec             double  Declination of the detection, J2000, in degrees
magpsf          float   Magnitude of the difference, from fitting the point spread function
sigmapsf        float   Standard error of magpsf, in magnitudes
chipsf          float?  Reduced chi-square of the fit that gave magpsf
magap           float?  Magnitude of the difference in an aperture 14 pixels wide
sigmagap        float?  Standard error of magap, in magnitudes
distnr          float?  Distance to the nearest source of the reference image, in pixels
magnr           float?  Magnitude of the nearest source of the reference image
sigmagnr        float?  Standard error of magnr, in magnitudes
chinr           float?  Goodness of fit (chi) of the nearest source of the reference image
sharpnr         float?  Sharpness of the nearest source of the reference image
sky             float?  Local background at the detection, in data numbers
magdiff         float?  Aperture magnitude less fitted magnitude (magap - magpsf)
fwhm            float?  Full width at half maximum of the detection, in pixels
classtar        float?  Score of the source extractor: 1 is star-like, 0 extended
mindtoedge      float?  Distance to the nearest edge of the image, in pixels
magfromlim      float?  How much brighter than the limit it is (diffmaglim - magap)
seeratio        float?  Width of the point spread function by the width of the detection
aimage          float?  Semi-major axis of the detection's windowed profile, in pixels
bimage          float?  Semi-minor axis of the detection's windowed profile, in pixels
aimagerat       float?  Semi-major axis in units of the width (aimage / fwhm)
bimagerat       float?  Semi-minor axis in units of the width (bimage / fwhm)
elong           float?  Elongation of the detection (aimage / bimage)
nneg            int?    How many of the central 5 x 5 pixels are negative
nbad            int?    How many of the central 5 x 5 pixels were flagged as bad before
rb              float?  Real-or-bogus score of the random forest: 1 is real, 0 an artefact
ssdistnr        float?  Distance to the nearest known solar system body within 30 arcsec
ssmagnr         float?  Expected magnitude of the nearest known solar system body
ssnamenr        string? Name of the nearest known solar system body within 30 arcsec
sumrat          float?  Sum of the central pixels by the sum of their absolute values
magapbig        float?  Magnitude of the difference in an aperture 18 pixels wide
sigmagapbig     float?  Standard error of magapbig, in magnitudes
ranr            double  Right ascension of the nearest source of the reference image
decnr           double  Declination of the nearest source of the reference image
sgmag1          float?  Magnitude in g of the closest source of Pan-STARRS 1 within 30 arcsec
srmag1          float?  Magnitude in r of the closest source of Pan-STARRS 1 within 30 arcsec
simag1          float?  Magnitude in i of the closest source of Pan-STARRS 1 within 30 arcsec
szmag1          float?  Magnitude in z of the closest source of Pan-STARRS 1 within 30 arcsec
sgscore1        float?  How star-like the closest Pan-STARRS 1 source is: 1 star, 0 galaxy
distpsnr1       float?  Distance to the closest Pan-STARRS 1 source, in arcsec
ndethist        int     How often something was detected within 1.5 arcsec since the survey began
ncovhist        int     How often this position was in an exposure since the survey began
jdstarthist     double? Julian date of the first detection counted in ndethist
jdendhist       double? Julian date of the last detection counted in ndethist
scorr           double? Signal to noise of the brightest pixel in the matched-filter image
tooflag         int?    1 if the exposure was for a target of opportunity, else 0
objectidps1     long?   Number of the closest source in the Pan-STARRS 1 catalogue
objectidps2     long?   Number of the second closest source in the Pan-STARRS 1 catalogue
sgmag2          float?  Magnitude in g of the second closest Pan-STARRS 1 source
srmag2          float?  Magnitude in r of the second closest Pan-STARRS 1 source
simag2          float?  Magnitude in i of the second closest Pan-STARRS 1 source
szmag2          float?  Magnitude in z of the second closest Pan-STARRS 1 source
sgscore2        float?  How star-like the second closest source is: 1 star, 0 galaxy
distpsnr2       float?  Distance to the second closest Pan-STARRS 1 source, in arcsec
objectidps3     long?   Number of the third closest source in the Pan-STARRS 1 catalogue
sgmag3          float?  Magnitude in g of the third closest Pan-STARRS 1 source
srmag3          float?  Magnitude in r of the third closest Pan-STARRS 1 source
simag3          float?  Magnitude in i of the third closest Pan-STARRS 1 source
szmag3          float?  Magnitude in z of the third closest Pan-STARRS 1 source
sgscore3        float?  How star-like the third closest source is: 1 star, 0 galaxy
distpsnr3       float?  Distance to the third closest Pan-STARRS 1 source, in arcsec
nmtchps         int     How many Pan-STARRS 1 sources there are within 30 arcsec
rfid            long    Number of the reference image that was subtracted
jdstartref      double  Julian date of the first exposure in the reference image
jdendref        double  Julian date of the last exposure in the reference image
nframesref      int     How many exposures the reference image was made of
rbversion       string  Which version of the random forest gave rb
dsnrms          float?  Difference image at the detection by its own scatter
ssnrms          float?  Matched-filter image at the detection by its own scatter
dsdiff          float?  Difference of the two scatter ratios (dsnrms - ssnrms)
magzpsci        float?  Zero point of the science image: magnitude of one data number
magzpsciunc     float?  Standard error of the zero point, in magnitudes
magzpscirms     float?  Scatter of the calibrators around the zero point, in magnitudes
nmatches        int     How many Pan-STARRS 1 stars calibrated the science image
clrcoeff        float?  Colour term of the photometric calibration
clrcounc        float?  Standard error of the colour term
zpclrcov        float?  Covariance of zero point and colour term, in square magnitudes
zpmed           float?  Median zero point of the single calibrators, in magnitudes
clrmed          float?  Median colour of the calibrators: g-r, or r-i for the filter i
clrrms          float?  Scatter of the colours of the calibrators, in magnitudes
neargaia        float?  Distance to the closest Gaia DR1 source within 90 arcsec
neargaiabright  float?  Distance to the closest Gaia DR1 source brighter than 14 within 90 arcsec
maggaia         float?  Magnitude G of the closest Gaia DR1 source
maggaiabright   float?  Magnitude G of the closest Gaia DR1 source brighter than 14
exptime         float?  How long the shutter was open, in seconds
drb             float?  Real-or-bogus score of the neural network: 1 is real, 0 an artefact
drbversion      string  Which version of the neural network gave drb
""")

_BY_NAME = {field.name: field for field in CANDIDATE}

# History entries without a detection (upper limits) have null in these fields.
_NULL_IN_UPPER_LIMITS = {"candid", "isdiffpos", "ra", "dec", "magpsf", "sigmapsf", "ranr", "decnr"}


def _previous() -> tuple[FieldSpec, ...]:
    """Return the fields of a history entry: the candidate up to `decnr`, and seven more."""
    names = list(_BY_NAME)
    names = names[: names.index("decnr") + 1]
    names += ["scorr", "magzpsci", "magzpsciunc", "magzpscirms", "clrcoeff", "clrcounc"]
    fields = (_BY_NAME[name] for name in [*names, "rbversion"])
    return tuple(
        field._replace(type=field.type + "?!") if field.name in _NULL_IN_UPPER_LIMITS else field
        for field in fields
    )


PREVIOUS = _previous()

FORCED = _table("""
field              int?    Number of the field in the survey's grid on the sky
rcid               int?    Readout channel of the camera, 0 to 63: four to each detector
fid                int     Filter of the exposure: 1 is g, 2 is r, 3 is i
pid                long    Number of the processed science image: night, time, quadrant
rfid               long    Number of the reference image that was subtracted
sciinpseeing       float?  Width of the point spread function of the science image, in pixels
scibckgnd          float?  Background level of the science image, in data numbers
scisigpix          float?  Noise of one pixel of the science image, in data numbers
magzpsci           float?  Zero point of the science image: magnitude of one data number
magzpsciunc        float?  Standard error of the zero point, in magnitudes
magzpscirms        float?  Scatter of the calibrators around the zero point, in magnitudes
clrcoeff           float?  Colour term of the photometric calibration
clrcounc           float?  Standard error of the colour term
exptime            float?  How long the shutter was open, in seconds
adpctdif1          float?  Scatter of the positions in right ascension against Gaia, in arcsec
adpctdif2          float?  Scatter of the positions in declination against Gaia, in arcsec
diffmaglim         float?  Faintest magnitude that reaches 5 sigma in the difference image
programid          int     Observing programme: 1 is public, 2 partnership, 3 Caltech
jd                 double  Julian date at which the exposure began (UTC), in days
forcediffimflux    float?  Flux of the difference at the object's position, in data numbers
forcediffimfluxunc float?  Standard error of forcediffimflux, in data numbers
procstatus         string? Codes of what went wrong in the measurement; 0 is nothing
distnr             float?  Distance to the nearest source of the reference image, in arcsec
ranr               double  Right ascension of the nearest source of the reference image
decnr              double  Declination of the nearest source of the reference image
magnr              float?  Magnitude of the nearest source of the reference image
sigmagnr           float?  Standard error of magnr, in magnitudes
chinr              float?  Goodness of fit (chi) of the nearest source of the reference image
sharpnr            float?  Sharpness of the nearest source of the reference image
""")
