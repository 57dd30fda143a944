"""Does it work? Measures of diversity, control and quality (built by hand in notebook 8).

Each is a function of sums over scenes, so one bootstrap serves all: it draws the scenes anew, with replacement.

Against ToyTown's truth. For every thing instance of at least 20 pixels, a is its mean RGB (0..255) in each of K
pictures, [K, 3]: generated ones, with fresh noise and latent, and K redrawn ones, where every look is drawn anew.

    spread ratio(class)           = sqrt(mean of var(generated a) / mean of var(redrawn a)),        ddof 1
                                    means over the class's instances and RGB; 1: as varied as the truth, 0: no variety
    same-class correlation(class) = sum (a - mean a)(b - mean b) / sqrt(sum (a - mean a)^2 * sum (b - mean b)^2)
                                    over pairs a, b of the class in one picture, K samples and RGB; 0 for independent
                                    instances, 1 for one look for all
    color distance(class)         = sum over c of |F_generated(c) - F_redrawn(c)|, mean over RGB, in units of 0..255
                                    F: share of the a that are at most c; the 1-Wasserstein distance; 0: same colours

Control. One instance's noise is drawn again (or, where a method cannot do that, the least that it can draw again):

    locality      = mean |change| of a pixel outside the instance / mean |change| of a pixel inside; 0: nothing else
    mISD, mOISD   = mean Lite0-LPIPS of a pixel inside, outside (the paper, section 4)
    mCSD, mOCD    = the same where the noise of all instances of one class is drawn again (GroupDNet, CVPR 2020)

The encoder. Mean |difference| of a thing's mean RGB, in units of 0..255:

    reconstruction = between a real picture and what the generator makes of the encoder's means
    round trip     = between a generated picture and what becomes of it

Quality. pixel accuracy and mIoU are those of `judge`, a segmentation network, and Lite0-KID that of `lite0`.
"""

from ..generator import start
from . import judge, lite0
from .control import changes, draw_again, locality, paint, rebuild, rebuilding_errors
from .diversity import (
    Diversity,
    Instance,
    color_histograms,
    color_variances,
    colors_of,
    correlation,
    diversity_rows,
    drawn,
    from_generator,
    from_truth,
    mean_colors,
    measure_diversity,
    pair_products,
    same_class_correlation,
    spread,
    table,
    things,
    wasserstein,
)
from .estimates import Estimate, bootstrap, ratio
from .measuring import measure

__all__ = [
    "Diversity",
    "Estimate",
    "Instance",
    "bootstrap",
    "changes",
    "color_histograms",
    "color_variances",
    "colors_of",
    "correlation",
    "diversity_rows",
    "draw_again",
    "drawn",
    "from_generator",
    "from_truth",
    "judge",
    "lite0",
    "locality",
    "mean_colors",
    "measure",
    "measure_diversity",
    "paint",
    "pair_products",
    "ratio",
    "rebuild",
    "rebuilding_errors",
    "same_class_correlation",
    "spread",
    "start",
    "table",
    "things",
    "wasserstein",
]
