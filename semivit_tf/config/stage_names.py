"""Names of the stages of each pipeline, in order."""

STAGES = (
    "check",
    "pretrain",
    "probe",
    "finetune",
    "foreign",
    "semi_finetune",
    "evaluate",
    "export",
    "report",
)
FOREIGN = "foreign"  # asked for by --drop_foreign
LABELLING = ("label_next", "suspects")  # of a finished run: what a person is asked
PREDICT = "predict"
NEW_IMAGES = (PREDICT, "check_drift")  # an exported model is enough for them
GENERATIVE = (
    "pseudo_label",
    "generator",
    "generate",
    "judge",
    "retrain_logistic",
    "retrain",
    "retrain_semi",
)
PIPELINE_STAGES = {
    "semi_vit": (*STAGES, *LABELLING, *NEW_IMAGES),
    "dpt": (
        *STAGES[:3],
        "logistic",
        *STAGES[3:-3],
        *GENERATIVE,
        *STAGES[-3:],
        *LABELLING,
        *NEW_IMAGES,
    ),
}
