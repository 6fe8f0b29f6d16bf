"""Stage 2: encoder and head learn from the labelled images."""

from semivit_tf.training.checkpoints import load_weights, save_weights

STAGE = "finetune"


def steps_per_epoch(run):
    """Returns how many steps make one pass over the labelled images."""
    return len(run.data.split.labeled) // run.config.finetune.batch_size


def finetune(run):
    """Trains a classifier, from the pre-trained encoder if there is one."""
    settings = run.config.finetune
    steps = steps_per_epoch(run)
    pretrained = run.folder.stage("pretrain")
    run.seed_stage(STAGE)
    with run.strategy.scope():
        model = run.classifier(settings)
        if pretrained.done:
            # Averaged features are normalised after pooling, by a norm that is new.
            fresh = ("norm/",) if model.backbone.pooling == "mean" else ()
            load_weights(model.backbone, pretrained.weights("encoder"), skip=fresh)
        run.compile(model, run.optimizer(model, settings, steps))
    run.train(
        model,
        lambda step: run.data.labeled(settings.batch_size, start_step=step),
        stage=STAGE,
        settings=settings,
        steps_per_epoch=steps,
    )
    folder = run.folder.stage(STAGE)
    save_weights(model, folder.weights("student"))
    folder.finish(started_from="pretrain" if pretrained.done else "scratch")
