# Exponents of the loss against training time, from the toy models' curves and the bigram models' gradient flow.


rule time:
    input:
        "results/tables/time_exponents.csv",
        pictures(DRAWINGS["draw_training_time"]),


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
    params:
        source=source_fingerprint("fits/time"),
    shell:
        "python -m scaling.fits.time --curves {input.curves} --models {input.models} --flow {input.flow}"
        " --output {output} > {log} 2>&1"
