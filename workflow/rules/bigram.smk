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
BIGRAM_FIGURES = {
    "bigram_excess": "excess over the known floor against m, with its rivals",
    "bigram_geometry": "overlaps, norms and who pays the excess",
    "bigram_controls": "what in a matrix sets the exponent",
}


rule bigram:
    input:
        expand("results/tables/{table}.csv", table=BIGRAM_TABLES),
        expand("results/figures/{figure}.{ending}", figure=BIGRAM_FIGURES, ending=["svg", "png"]),


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
    threads: 1
    resources:
        mem_mb=1000,
    params:
        source=source_fingerprint("llm/family/vocabulary"),
    message:
        "Training the tokenizer of {wildcards.vocabulary} tokens (log: {log})"
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
    threads: 1
    resources:
        mem_mb=2000,
    params:
        source=source_fingerprint("bigram/counts"),
    message:
        "Counting bigrams of {wildcards.vocabulary} tokens (log: {log})"
    shell:
        "python -m scaling.bigram.counts --text {input.text:q} --tokenizer {input.tokenizer} --output {output} > {log} 2>&1"


for job, members in bigram_jobs(BIGRAM).items():

    rule:
        name:
            f"train_{job}"
        input:
            bigram_counts([members[0].matrix]),
        output:
            [f"results/bigram/models/{cell.name}.safetensors" for cell in members],
        log:
            f"logs/bigram/models/{job}.log",
        benchmark:
            f"logs/bigram/models/{job}.benchmark.tsv"
        conda:
            "../envs/scaling.yaml"
        threads: 1
        resources:
            mem_mb=bigram_memory(members, BIGRAM),
            runtime=600,
        params:
            arguments=shlex.join(bigram_arguments(members, BIGRAM)),
            counts=lambda wildcards, input: f"--counts {input[0]}" if input else "",
            source=source_fingerprint("bigram/training"),
        message:
            f"Training the bigram models {members[0].curve} (log: {{log}})"
        shell:
            "python -m scaling.bigram.training {params.arguments} {params.counts}"
            " --folder results/bigram/models > {log} 2>&1"


rule measure_bigram_models:
    input:
        counts=bigram_counts({cell.matrix for cell in BIGRAM_CELLS.values()}),
        models=[f"results/bigram/models/{name}.safetensors" for name in BIGRAM_CELLS],
    output:
        models="results/tables/bigram_models.csv",
        ranks="results/tables/bigram_ranks.csv",
    log:
        "logs/bigram/measure.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=max([bigram_memory([cell], BIGRAM) for cell in BIGRAM_CELLS.values()], default=500),
        runtime=600,
    params:
        study=json.dumps(BIGRAM),
        source=source_fingerprint("bigram/measurement"),
    message:
        "Measuring the bigram models (log: {log})"
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
    threads: 1
    resources:
        mem_mb=1000,
    params:
        source=source_fingerprint("fits/bigram"),
    message:
        "Fitting the bigram models' curves (log: {log})"
    shell:
        "python -m scaling.fits.bigram --models {input} --exponents {output.exponents}"
        " --rivals {output.rivals} > {log} 2>&1"


rule follow_bigram_flow:
    input:
        bigram_counts({cell.matrix for cell, _, _ in bigram_flows(BIGRAM)}),
    output:
        "results/tables/bigram_flow.csv",
    log:
        "logs/bigram/flow.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=600,
    params:
        study=json.dumps(BIGRAM),
        source=source_fingerprint("bigram/flow"),
    message:
        "Gradient flow of bigram models (log: {log})"
    shell:
        "python -m scaling.bigram.flow --study {params.study:q} --counts results/bigram/counts"
        " --output {output} > {log} 2>&1"


rule draw_bigram_figures:
    input:
        models="results/tables/bigram_models.csv",
        ranks="results/tables/bigram_ranks.csv",
        exponents="results/tables/bigram_exponents.csv",
        rivals="results/tables/bigram_rivals.csv",
    output:
        [
            report(
                f"results/figures/{figure}.svg",
                caption=f"../report/{figure}.rst",
                category="Language models",
                labels={"figure": "not in the paper", "shows": shows},
            )
            for figure, shows in BIGRAM_FIGURES.items()
        ],
        expand("results/figures/{figure}.png", figure=BIGRAM_FIGURES),
    log:
        "logs/figures/bigram.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        figures=" ".join(BIGRAM_FIGURES),
        source=source_fingerprint("figures/bigram"),
    message:
        "Drawing the bigram study's figures (log: {log})"
    shell:
        "python -m scaling.figures.bigram --figure {params.figures} --models {input.models}"
        " --ranks {input.ranks} --exponents {input.exponents} --rivals {input.rivals}"
        " --output {output} > {log} 2>&1"
