# The family of language models trained here, on the documentation that comes with Python; no network.
# results/llm/corpus/: its documents, for training and held out. results/llm/family/{member}/: a checkpoint as save_pretrained writes it.

FAMILY = config["llm"]["family"]
FAMILY_RECIPE = recipe_of(FAMILY)
MEMBERS = family_members(FAMILY["models"], FAMILY_RECIPE)
FAMILY_CURVES = by_curve(MEMBERS)
CHECKPOINT = [
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "training.json",
]
# Its members by file name, in the form of entries of the catalogue.
FAMILY_MODELS = {
    file_name(name): {
        "model": name,
        "family": member.family,
        "path": f"results/llm/family/{name}",
        "m": member.m,
        "learning_rate_factor": member.learning_rate_factor,
        "files": [f"results/llm/family/{name}/{file}" for file in CHECKPOINT],
    }
    for name, member in MEMBERS.items()
}
CORPUS = {part: f"results/llm/corpus/{part}.jsonl" for part in ("train", "held_out")}


rule write_corpus:
    output:
        **CORPUS,
    log:
        "logs/llm/corpus.log",
    conda:
        "../envs/scaling.yaml"
    params:
        python=platform.python_version(),
        source=source_fingerprint("llm/family/corpus"),
    shell:
        "python -m scaling.llm.family.corpus --train {output.train} --held-out {output.held_out} > {log} 2>&1"


rule train_tokenizer:
    input:
        CORPUS["train"],
    output:
        "results/llm/corpus/tokenizer.json",
    log:
        "logs/llm/tokenizer.log",
    conda:
        "../envs/scaling.yaml"
    params:
        size=FAMILY_RECIPE.vocabulary,
        source=source_fingerprint("llm/family/vocabulary"),
    shell:
        "python -m scaling.llm.family.vocabulary --train {input} --size {params.size} --output {output} > {log} 2>&1"


rule train_language_model:
    input:
        train=CORPUS["train"],
        tokenizer="results/llm/corpus/tokenizer.json",
    output:
        expand("results/llm/family/{{member}}/{file}", file=CHECKPOINT),
    log:
        "logs/llm/family/{member}.log",
    benchmark:
        "logs/llm/family/{member}.benchmark.tsv"
    wildcard_constraints:
        member=one_of(MEMBERS),
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=2000,
    params:
        member=lambda wildcards: command_options(
            vars(MEMBERS[wildcards.member]), "m", "gamma", "learning_rate_factor", "seed"
        ),
        recipe=command_options(vars(FAMILY_RECIPE), *vars(FAMILY_RECIPE)),
        folder=lambda wildcards: f"results/llm/family/{wildcards.member}",
        source=source_fingerprint("llm/family/training"),
    shell:
        "python -m scaling.llm.family.training {params.member} {params.recipe} --train {input.train}"
        " --tokenizer {input.tokenizer} --folder {params.folder} > {log} 2>&1"


rule gather_family:
    input:
        records=expand("results/llm/family/{member}/training.json", member=MEMBERS),
        losses=expand("results/llm/family_losses/{curve}.csv", curve=FAMILY_CURVES),
        overlaps="results/tables/llm_overlaps.csv",
    output:
        "results/tables/llm_family.csv",
    log:
        "logs/llm/gather_family.log",
    conda:
        "../envs/scaling.yaml"
    params:
        source=source_fingerprint("llm/family/table"),
    shell:
        "python -m scaling.llm.family.table --records {input.records} --losses {input.losses}"
        " --overlaps {input.overlaps} --output {output} > {log} 2>&1"
