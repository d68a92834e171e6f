# Toy models on correlated features: one training job per curve and seed, then measuring, fit and figure.

CORRELATION = config["correlation"]
CORRELATION_CELLS = correlated_cells(CORRELATION)


rule correlation:
    input:
        "results/tables/toy_correlation.csv",
        "results/tables/correlation_exponents.csv",
        "results/figures/toy_correlation.svg",
        "results/figures/toy_correlation.png",


for job, members in correlated_curves(CORRELATION).items():

    rule:
        name:
            f"train_{job}"
        output:
            [f"results/toy/correlated/{cell.name}.safetensors" for cell in members],
        log:
            f"logs/toy/correlated/{job}.log",
        benchmark:
            f"logs/toy/correlated/{job}.benchmark.tsv"
        conda:
            "../envs/scaling.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime=600,
        params:
            arguments=shlex.join(correlated_arguments(members, CORRELATION)),
            source=source_fingerprint("toy/correlated"),
        message:
            f"Training toy models on correlated features, {members[0].curve} (log: {{log}})"
        shell:
            "python -m scaling.toy.correlated train {params.arguments}"
            " --folder results/toy/correlated > {log} 2>&1"


rule measure_correlated_models:
    input:
        [f"results/toy/correlated/{name}.safetensors" for name in CORRELATION_CELLS],
    output:
        "results/tables/toy_correlation.csv",
    log:
        "logs/toy/measure_correlated.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=600,
    params:
        study=json.dumps(CORRELATION),
        source=source_fingerprint("toy/correlated"),
    message:
        "Measuring toy models on correlated features (log: {log})"
    shell:
        "python -m scaling.toy.correlated measure --study {params.study:q}"
        " --folder results/toy/correlated --output {output} > {log} 2>&1"


rule fit_correlated_curves:
    input:
        "results/tables/toy_correlation.csv",
    output:
        "results/tables/correlation_exponents.csv",
    log:
        "logs/fits/correlation.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        source=source_fingerprint("fits/correlation"),
    message:
        "Fitting the curves on correlated features (log: {log})"
    shell:
        "python -m scaling.fits.correlation --models {input} --output {output} > {log} 2>&1"


rule draw_correlation:
    input:
        models="results/tables/toy_correlation.csv",
        exponents="results/tables/correlation_exponents.csv",
    output:
        report(
            "results/figures/toy_correlation.svg",
            caption="../report/toy_correlation.rst",
            category="Toy model",
            labels={"figure": "not in the paper", "shows": "correlated features"},
        ),
        "results/figures/toy_correlation.png",
    log:
        "logs/figures/correlation.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        source=source_fingerprint("figures/correlation"),
    message:
        "Drawing toy models on correlated features (log: {log})"
    shell:
        "python -m scaling.figures.correlation --models {input.models} --exponents {input.exponents}"
        " --output {output} > {log} 2>&1"
