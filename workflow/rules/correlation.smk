# Toy models on correlated features: one training job per curve and seed, then measuring, fit and figure. The default
# config does not list any; config/correlation.yaml does.

CORRELATION = config["correlation"]
CORRELATION_CELLS = correlated_cells(CORRELATION)


rule correlation:
    input:
        "results/tables/toy_correlation.csv",
        "results/tables/correlation_exponents.csv",
        pictures(DRAWINGS["draw_correlation"]),


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
        resources:
            mem_mb=2000,
            runtime=600,
        params:
            arguments=shlex.join(correlated_arguments(members, CORRELATION)),
            source=source_fingerprint("toy/correlated"),
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
    resources:
        mem_mb=2000,
        runtime=600,
    params:
        study=json.dumps(CORRELATION),
        source=source_fingerprint("toy/correlated"),
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
    params:
        source=source_fingerprint("fits/correlation"),
    shell:
        "python -m scaling.fits.correlation --models {input} --output {output} > {log} 2>&1"
