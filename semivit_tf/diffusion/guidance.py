"""Classifier-free guidance: further in the direction of a class, away from none."""

from keras import ops


def guided(predict, labels, guidance, no_class):
    """Returns a function from `(x, t)` to guided noise.

    That is e + guidance * (e - f), with e the noise predicted for the class and f the
    one without a class. At 0 it is e, and f is not computed; at -1 it is f.

    Args:
        predict: Function from images `[R, H, W, C]`, a time and class numbers `[R]` to
            their noise. It is called once a time, with both rows of each image.
        labels: Integer array `[B]`.
        guidance: Float. (Other texts count from 1: theirs is 1 + `guidance`.)
        no_class: Integer. The class number that means "no class".

    Reference:
        Ho and Salimans, Classifier-Free Diffusion Guidance, 2022.
    """
    if guidance == 0:
        return lambda x, t: predict(x, t, labels)
    count = len(labels)
    both_labels = ops.concatenate([labels, ops.full_like(labels, no_class)])

    def predict_noise(x, t):
        both = predict(ops.concatenate([x, x]), t, both_labels)
        of_class, of_none = both[:count], both[count:]
        return of_class + guidance * (of_class - of_none)

    return predict_noise
