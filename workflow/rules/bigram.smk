# The exact bigram language model: counts of a text, training, measuring, fits and figures.
# results/bigram/counts/{vocabulary}.safetensors; results/bigram/models/{matrix}/gamma{gamma}[_tied]/m{m}_seed{seed}.safetensors

BIGRAM = config["bigram"]
BIGRAM_MATRICES = bigram_matrices(BIGRAM)
BIGRAM_CELLS = bigram_cells(BIGRAM)
BIGRAM_TABLES = [
    "bigram_models",
    "bigram_ranks",
    "bigram_exponents",
    "bigram_rivals",
    "bigram_flow",
]
BIGRAM_TEXT = CORPUS["train"] if BIGRAM["text"] == "python" else BIGRAM["text"]


rule bigram:
    input:
        expand("results/tables/{table}.csv", table=BIGRAM_TABLES),
        pictures(DRAWINGS["draw_bigram_figures"]),


rule train_bigram_tokenizer:
    input:
        BIGRAM_TEXT,
    output:
        "results/bigram/tokenizers/{vocabulary}.json",
    log:
        "logs/bigram/tokenizer_{vocabulary}.log",
    wildcard_constraints:
        vocabulary=r"\d+",
    conda:
        "../envs/scaling.yaml"
    params:
        source=source_fingerprint("llm/family/vocabulary"),
    shell:
        "python -m scaling.llm.family.vocabulary --train {input:q} --size {wildcards.vocabulary} --output {output} > {log} 2>&1"


rule count_bigrams:
    input:
        text=BIGRAM_TEXT,
        tokenizer="results/bigram/tokenizers/{vocabulary}.json",
    output:
        "results/bigram/counts/{vocabulary}.safetensors",
    log:
        "logs/bigram/counts_{vocabulary}.log",
    wildcard_constraints:
        vocabulary=r"\d+",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=2000,
    params:
        source=source_fingerprint("bigram/counts"),
    shell:
        "python -m scaling.bigram.counts --text {input.text:q} --tokenizer {input.tokenizer} --output {output} > {log} 2>&1"


for job, members in bigram_jobs(BIGRAM).items():

    rule:
        name:
            f"train_{job}"
        input:
            expand(
                "results/bigram/counts/{size}.safetensors",
                size=counted_sizes(BIGRAM_MATRICES, [members[0].matrix]),
            ),
        output:
            [f"results/bigram/models/{cell.name}.safetensors" for cell in members],
        log:
            f"logs/bigram/models/{job}.log",
        benchmark:
            f"logs/bigram/models/{job}.benchmark.tsv"
        conda:
            "../envs/scaling.yaml"
        resources:
            mem_mb=bigram_memory(members, BIGRAM),
            runtime=600,
        params:
            arguments=shlex.join(bigram_arguments(members, BIGRAM)),
            counts=lambda wildcards, input: f"--counts {input[0]}" if input else "",
            source=source_fingerprint("bigram/training"),
        shell:
            "python -m scaling.bigram.training {params.arguments} {params.counts}"
            " --folder results/bigram/models > {log} 2>&1"


rule measure_bigram_models:
    input:
        counts=expand(
            "results/bigram/counts/{size}.safetensors",
            size=counted_sizes(BIGRAM_MATRICES, [cell.matrix for cell in BIGRAM_CELLS.values()]),
        ),
        models=[f"results/bigram/models/{name}.safetensors" for name in BIGRAM_CELLS],
    output:
        models="results/tables/bigram_models.csv",
        ranks="results/tables/bigram_ranks.csv",
    log:
        "logs/bigram/measure.log",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=max([bigram_memory([cell], BIGRAM) for cell in BIGRAM_CELLS.values()], default=500),
        runtime=600,
    params:
        study=json.dumps(BIGRAM),
        source=source_fingerprint("bigram/measurement"),
    shell:
        "python -m scaling.bigram.measurement --study {params.study:q} --counts results/bigram/counts"
        " --folder results/bigram/models --models {output.models} --ranks {output.ranks} > {log} 2>&1"


rule fit_bigram_curves:
    input:
        "results/tables/bigram_models.csv",
    output:
        exponents="results/tables/bigram_exponents.csv",
        rivals="results/tables/bigram_rivals.csv",
    log:
        "logs/fits/bigram.log",
    conda:
        "../envs/scaling.yaml"
    params:
        source=source_fingerprint("fits/bigram"),
    shell:
        "python -m scaling.fits.bigram --models {input} --exponents {output.exponents}"
        " --rivals {output.rivals} > {log} 2>&1"


rule follow_bigram_flow:
    input:
        expand(
            "results/bigram/counts/{size}.safetensors",
            size=counted_sizes(
                BIGRAM_MATRICES, [cell.matrix for cell, _, _ in bigram_flows(BIGRAM)]
            ),
        ),
    output:
        "results/tables/bigram_flow.csv",
    log:
        "logs/bigram/flow.log",
    conda:
        "../envs/scaling.yaml"
    resources:
        mem_mb=2000,
        runtime=600,
    params:
        study=json.dumps(BIGRAM),
        source=source_fingerprint("bigram/flow"),
    shell:
        "python -m scaling.bigram.flow --study {params.study:q} --counts results/bigram/counts"
        " --output {output} > {log} 2>&1"
