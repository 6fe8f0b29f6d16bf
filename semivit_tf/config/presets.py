"""Presets: how much each stage does where nothing is said, by group of settings."""

PUBLISHED = "published"  # derives nothing

# What the generator and the judge have here is a first guess; nothing was measured.
UPDATES = {
    "quick": {
        "pretrain": 400,
        "finetune": 150,
        "semi": 400,
        "generator": 1000,
        "judge": 500,
    },
    "balanced": {
        "pretrain": 1500,
        "finetune": 300,
        "semi": 1600,
        "generator": 3000,
        "judge": 1500,
    },
    "best": {
        "pretrain": 6000,
        "finetune": 600,
        "semi": 5000,
        "generator": 12000,
        "judge": 4000,
    },
}
PRESETS = (*UPDATES, PUBLISHED)

# Images of a step, or labelled ones, where there are as many.
BATCH_SIZES = {
    "pretrain": 128,
    "finetune": 64,
    "semi": 32,
    "generator": 64,
    "judge": 64,
}
PUBLISHED_BATCH_SIZES = {
    "pretrain": 256,
    "finetune": 128,
    "semi": 128,
    "generator": 1024,
    "judge": 64,
}

# Shares of the updates.
WARMUP = {
    "pretrain": 0.1,
    "finetune": 0.1,
    "semi": 0.05,
    "generator": 0.05,
    "judge": 0.05,
}

# Peaks of AdamW's learning rate for tokens of 64 channels.
PEAK_RATES = {
    "pretrain": 3e-3,
    "finetune": 1e-3,
    "semi": 1e-3,
    "generator": 1e-3,
    "judge": 1e-3,
}


def batch_sizes(preset):
    """Returns a dict of group to the images of a step, where there are as many."""
    return PUBLISHED_BATCH_SIZES if preset == PUBLISHED else BATCH_SIZES
