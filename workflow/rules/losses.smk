# Losses of language models on texts: the family on the held-out part of its corpus, the catalogue on the texts of the config.
# results/llm/texts/{text}.jsonl: documents of a data set of the Hub. results/llm/losses/{text}/{model}.csv: one row;
# results/llm/family_losses/{curve}.csv: one row per model of the family with this gamma and learning-rate factor.

LOSSES = config["llm"]["losses"]
TEXTS = by_name(LOSSES["texts"], ["name"], "losses: texts")
for name, entry in TEXTS.items():
    if sum(key in entry for key in ("path", "dataset")) != (name != "python"):
        raise WorkflowError(
            f"config: llm: losses: texts: {name} needs either path or dataset; python alone has neither"
        )
# (text, model): settings of the evaluation
EVALUATIONS = {
    (text, model): entry
    for text, entry in TEXTS.items()
    for model in STUDIED
    if MODELS[model]["family"] in LOSSES["families"]
    and (text != "python" or model not in FAMILY_MODELS)
}


rule fetch_text:
    output:
        "results/llm/texts/{text}.jsonl",
    log:
        "logs/llm/texts/{text}.log",
    wildcard_constraints:
        text=one_of(TEXTS),
    retries: 1
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=2000,
        network=1,
    params:
        text=lambda wildcards: command_options(
            TEXTS[wildcards.text],
            *("dataset", "subset", "split", "revision", "column", "join_words", "documents"),
        ),
        source=source_fingerprint("llm/texts"),
    shell:
        "python -m scaling.llm.texts {params.text} --output {output} > {log} 2>&1"


rule measure_loss:
    input:
        checkpoint=lambda wildcards: local_files(MODELS[wildcards.model]),
        text=lambda wildcards: text_file(TEXTS, wildcards.text, CORPUS["held_out"]),
    output:
        "results/llm/losses/{text}/{model}.csv",
    log:
        "logs/llm/losses/{text}/{model}.log",
    benchmark:
        "logs/llm/losses/{text}/{model}.benchmark.tsv"
    wildcard_constraints:
        text="[^/]+",
        model="[^/]+",
    retries: 1
    conda:
        "../envs/scaling.yaml"
    resources:
        # On a cluster, request more with --set-resources measure_loss:mem_mb=...; a model that does not fit is reported.
        mem_mb=lambda wildcards: (
            16000
            if is_remote(MODELS[wildcards.model])
            else 2000 if wildcards.model in FAMILY_MODELS else 4000
        ),
        network=lambda wildcards: int(is_remote(MODELS[wildcards.model])),
        gpu=lambda wildcards: int(is_remote(MODELS[wildcards.model])),
    params:
        model=lambda wildcards: command_options(
            MODELS[wildcards.model], "model", "family", "path", "revision"
        ),
        windows=lambda wildcards: command_options(
            EVALUATIONS[wildcards.text, wildcards.model],
            *("windows", "window", "stride", "documents"),
        ),
        precision=command_options(LOSSES, "batch_tokens", "dtype"),
        attempt=lambda wildcards: attempt(
            f"results/llm/losses/{wildcards.text}/{wildcards.model}.csv", "llm_losses"
        ),
        source=source_fingerprint("llm/losses"),
    shell:
        "python -m scaling.llm.losses {params.model} --text {input.text:q} --dataset {wildcards.text} {params.windows}"
        " {params.precision} --attempt {params.attempt} --record-failure --output {output:q} > {log:q} 2>&1"


# The family is scored on every token of its held-out documents, with at least half a context before it. One job
# measures a curve, since loading the libraries takes longer than measuring a model.
rule measure_family_losses:
    input:
        checkpoints=lambda wildcards: [
            f"results/llm/family/{member.name}/{file}"
            for member in asked(FAMILY_CURVES, wildcards.curve, "curve")
            for file in CHECKPOINT
        ],
        text=CORPUS["held_out"],
    output:
        "results/llm/family_losses/{curve}.csv",
    log:
        "logs/llm/family_losses/{curve}.log",
    wildcard_constraints:
        curve="[^/]+",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=2000,
    params:
        models=lambda wildcards: [member.name for member in FAMILY_CURVES[wildcards.curve]],
        paths=lambda wildcards: [
            f"results/llm/family/{member.name}" for member in FAMILY_CURVES[wildcards.curve]
        ],
        family=lambda wildcards: FAMILY_CURVES[wildcards.curve][0].family,
        windows=f"--windows strided --window {FAMILY_RECIPE.context} --stride {FAMILY_RECIPE.stride}",
        precision=command_options(LOSSES, "batch_tokens", "dtype"),
        source=source_fingerprint("llm/losses"),
    shell:
        "python -m scaling.llm.losses --model {params.models} --path {params.paths} --family {params.family}"
        " --text {input.text} --dataset python {params.windows} {params.precision} --record-failure --output {output:q} > {log:q} 2>&1"


rule gather_losses:
    input:
        [f"results/llm/losses/{text}/{model}.csv" for text, model in EVALUATIONS],
        # Members with another learning rate only check the recipe's.
        [
            f"results/llm/family_losses/{curve}.csv"
            for curve, (member, *_) in FAMILY_CURVES.items()
            if member.learning_rate_factor == 1
        ],
    output:
        "results/tables/llm_losses.csv",
    log:
        "logs/llm/gather_losses.log",
    conda:
        "../envs/scaling.yaml"
    params:
        source=source_fingerprint("llm/join"),
    shell:
        "python -m scaling.llm.join --table llm_losses --parts {input:q} --output {output} > {log} 2>&1"
