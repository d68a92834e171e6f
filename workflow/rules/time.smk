# Exponents of the loss against training time, from the toy models' curves and the bigram models' gradient flow.


rule time:
    input:
        "results/tables/time_exponents.csv",
        "results/figures/training_time.svg",
        "results/figures/training_time.png",


rule fit_training_time:
    input:
        curves="results/tables/toy_curves.csv",
        models="results/tables/toy_models.csv",
        flow="results/tables/bigram_flow.csv",
    output:
        "results/tables/time_exponents.csv",
    log:
        "logs/fits/time.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        source=source_fingerprint("fits/time"),
    message:
        "Fitting the loss against training time (log: {log})"
    shell:
        "python -m scaling.fits.time --curves {input.curves} --models {input.models} --flow {input.flow}"
        " --output {output} > {log} 2>&1"


rule draw_training_time:
    input:
        exponents="results/tables/time_exponents.csv",
        curves="results/tables/toy_curves.csv",
        flow="results/tables/bigram_flow.csv",
    output:
        report(
            "results/figures/training_time.svg",
            caption="../report/training_time.rst",
            category="Toy model",
            labels={"figure": "not in the paper", "shows": "loss against training time"},
        ),
        "results/figures/training_time.png",
    log:
        "logs/figures/training_time.log",
    conda:
        "../envs/scaling.yaml"
    threads: 1
    resources:
        mem_mb=1000,
    params:
        source=source_fingerprint("figures/training_time"),
    message:
        "Drawing the loss against training time (log: {log})"
    shell:
        "python -m scaling.figures.training_time --exponents {input.exponents} --curves {input.curves}"
        " --flow {input.flow} --output {output} > {log} 2>&1"
