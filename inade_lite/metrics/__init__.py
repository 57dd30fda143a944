"""Does it work? Measures of diversity, control and quality (built by hand in notebooks 9 and 10).

No single number tells whether a generator is diverse. So there are several, and each is blind to something.

Diversity, against ToyTown's truth. ToyTown can draw a scene again with the same maps and new looks. For every thing
instance of at least 20 pixels, a is its mean RGB (0..255) in each of K pictures, [K, 3]: in K generated ones, each with
fresh noise and latent, and in K redrawn ones.

    spread ratio           Does a look vary as much as the truth? 1 is right, 0 is no variety.
                           sqrt(mean of var(generated a) / mean of var(redrawn a)); variances over K with ddof 1,
                           means over the instances of a class and RGB

    same-class             Do two instances of a class vary each on its own? 0 is right, 1 is one look for all.
    correlation            sum (a - mean a)(b - mean b) / sqrt(sum (a - mean a)^2 * sum (b - mean b)^2); sums over the
                           pairs a, b of the class in one picture, over K and RGB

    color distance         Are these the right looks? 0 is right; in units of 0..255.
                           sum over c of |F_generated(c) - F_redrawn(c)|, mean over RGB; F(c) is the share of the a
                           that are at most c. This is the 1-Wasserstein distance.

    pattern distance       Are things striped as in the truth? 0 is right; a look with the average pattern on
                           everything is about 1. For each class and direction, across and down:
                           1-Wasserstein distance of amplitudes / their deviation in the truth (`amplitudes`)

Control. The noise of one instance is drawn again; where a method cannot do that, the least that it can draw again.

    locality               Does only that instance change? 0 is right.
                           mean |change| of a pixel outside of it / mean |change| of a pixel inside
    mISD, mOISD            mean Lite0-LPIPS of a pixel inside, and outside (Tan et al., CVPR 2021, section 4)
    mCSD, mOCD             the same where the noise of all instances of one class is drawn again (GroupDNet, CVPR 2020)

The encoder. How far does a thing's mean RGB move? Mean |difference|, in units of 0..255. And is its pattern kept?

    reconstruction         from a real picture to what the generator makes of the encoder's means
    round trip             from a generated picture to what becomes of it in the same way

    kinds kept             from a real picture as above; of a thing's pattern
                           share of the things that stay plain, striped across, down or both, in percent; the mean over
                           these four kinds, so chance gives 25

Quality. Pixel accuracy and mIoU are those of `judge`, a segmentation network. Lite0-KID is that of `lite0`, a network
trained on photographs.

On photos there is no truth, since none can be taken again with other looks (`measure_photos`). There

    spread                 Do looks vary, whatever the truth may be? 0 is no variety; in units of 0..255.
                           sqrt(mean of var(generated a)), as in the spread ratio
    Lite0-KID, FID         samples against the photos; a photo and the samples of its maps are one group
    mIoU                   of a judge that was trained on this set; real mIoU is that of the photos themselves

All but Lite0-KID are functions of sums over scenes, so one function gives all of them their intervals: `bootstrap`.
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
from .measuring import measure, measure_photos
from .patterns import Texture, amplitudes, kinds, kinds_kept, pattern_distances, rebuilt_kinds, textures_of

__all__ = [
    "Diversity",
    "Estimate",
    "Instance",
    "Texture",
    "amplitudes",
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
    "kinds",
    "kinds_kept",
    "lite0",
    "locality",
    "mean_colors",
    "measure",
    "measure_diversity",
    "measure_photos",
    "paint",
    "pair_products",
    "pattern_distances",
    "ratio",
    "rebuild",
    "rebuilding_errors",
    "rebuilt_kinds",
    "same_class_correlation",
    "spread",
    "start",
    "table",
    "textures_of",
    "things",
    "wasserstein",
]
